"""An error of an app that no administrator registered is a link on a page, since its site may be an attacker's."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from tests.console.browsing import Browser
from tests.oauth.asking import answer_of, ask, opened
from tests.oauth.flows import REDIRECT
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

_LINK = re.compile(r'<a class="button" href="([^"]*)" rel="noreferrer">Leave to ([^<]*)</a>')


def dynamic_app(server: Server, **values: object) -> ServedApp:
    """An app that registered itself; no row of the shipped policy lets it ask for anything."""
    app = ServedApp(server)
    app.change(kind="dynamic", host=None, **values)
    return app


def link_of(page: httpx.Response) -> tuple[str, str]:
    """The address of the link on a page, and the host that it names."""
    assert (page.status_code, "location" in page.headers) == (400, False), page.text
    assert page.headers["referrer-policy"] == "no-referrer"
    (found,) = _LINK.findall(page.text)
    return unescape(found[0]), unescape(found[1])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://other.example"}, "invalid_target"),
        ({"request": "eyJ"}, "request_not_supported"),
    ],
)
@pytest.mark.parametrize(
    ("redirect", "asked", "host"),
    [
        (REDIRECT, REDIRECT, "app.example"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", "127.0.0.1:49152"),
        ("https://app.example/cb?a=b&c", "https://app.example/cb?a=b&c", "app.example"),
    ],
)
def test_nothing_redirects_to_an_app_that_no_administrator_registered(
    *,
    visitor: Browser,
    issuer: LiveIssuer,
    app_server: Server,
    changes: dict[str, str | None],
    error: str,
    redirect: str,
    asked: str,
    host: str,
) -> None:
    app = dynamic_app(app_server, redirect_uris=[redirect])
    page = opened(visitor, issuer, ask(visitor, app, redirect_uri=asked, **changes))
    address, named = link_of(page)
    assert named == host
    assert address.startswith(f"{asked}{'&' if '?' in asked else '?'}error={error}&")
    found = dict(parse_qsl(urlsplit(address).query))
    assert (found["state"], found["iss"]) == ("state & more", app_server.url)
    assert link_of(visitor.get(page.request.url.path))[0] == address, "the page can be loaded again"


def test_the_error_of_a_registered_app_is_redirected(visitor: Browser, issuer: LiveIssuer, app_server: Server) -> None:
    back = answer_of(opened(visitor, issuer, ask(visitor, ServedApp(app_server), scope="everything")))
    assert back["error"] == "invalid_scope"


def test_the_page_says_that_the_name_is_not_verified_and_shows_it_as_text(
    visitor: Browser, issuer: LiveIssuer, app_server: Server
) -> None:
    app = dynamic_app(app_server, name='<a href="https://bank.example">Bank</a>\u202e')
    page = opened(visitor, issuer, ask(visitor, app, state='"><script>alert(1)</script>'))
    assert "The name is not verified." in page.text
    assert '<a href="https://bank.example">' not in page.text
    assert "<script>alert" not in page.text
    assert "\u202e" not in page.text
    assert dict(parse_qsl(urlsplit(link_of(page)[0]).query))["state"] == '"><script>alert(1)</script>'
