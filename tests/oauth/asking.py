"""An app that asks for access, and a browser without scripts that answers."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

from tests.console.browsing import Browser
from tests.oauth.flows import REDIRECT, VERIFIER, challenge_of
from tests.oauth.served import ServedApp, new_address
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

_FIELD = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


def new_browser(server: Server) -> Browser:
    """A browser with an address of its own."""
    started = Browser(server)
    started.http.headers["X-Forwarded-For"] = new_address()
    return started


def request_of(app: ServedApp, **changes: str | None) -> dict[str, str]:
    """The parameters of an authorization request; None removes one."""
    stated: dict[str, str | None] = {
        "response_type": "code",
        "client_id": app.client_id,
        "redirect_uri": REDIRECT,
        "scope": "catalog:read",
        "state": "state & more",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in stated.items() if value is not None}


def ask(browser: Browser, app: ServedApp, **changes: str | None) -> httpx.Response:
    """The answer to an authorization request."""
    return browser.get(f"/oauth/authorize?{urlencode(request_of(app, **changes))}")


def opened(browser: Browser, issuer: LiveIssuer, answer: httpx.Response, person: str = "user_alice") -> httpx.Response:
    """The consent page, after a sign-in if one is needed."""
    assert answer.status_code == 303, answer.text
    path = answer.headers["location"]
    assert path.startswith("/console/consent/"), path
    page = browser.get(path)
    if page.headers.get("location", "").startswith("/console/sign-in"):
        begun = browser.begin(dict(parse_qsl(urlsplit(page.headers["location"]).query))["to"])
        back = browser.get(browser.choose(issuer, begun, person))
        assert back.headers["location"] == path
        page = browser.get(path)
    return page


def fields_of(page: httpx.Response) -> dict[str, Any]:
    """The hidden fields of the form of a page."""
    found: dict[str, Any] = {"scopes": []}
    form = page.text.partition('id="answer"')[2]
    for name, value in _FIELD.findall(form):
        if name == "scopes":
            found["scopes"].append(value)
        else:
            found[name] = value
    return found


def click(
    browser: Browser, page: httpx.Response, decision: str | list[str] = "allow", **changes: Any
) -> httpx.Response:
    """The answer to a click on the page."""
    fields = {**fields_of(page), "decision": decision, **changes}
    return browser.http.post(page.request.url.path, data=fields, headers={"Origin": browser.server.url})


def answer_of(response: httpx.Response, redirect: str = REDIRECT) -> dict[str, str]:
    """The parameters with which a browser is sent back to an app."""
    assert response.status_code == 303, response.text
    address = response.headers["location"]
    assert address.startswith(redirect), address
    return dict(parse_qsl(address[len(redirect) :].lstrip("?&"), keep_blank_values=True))
