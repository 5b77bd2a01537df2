"""A browser without scripts that signs in, and an issuer whose answers are changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl, urlsplit

import httpx
from playwright.sync_api import Page

from app.dev.wire import IssuerRequest, Reply, json_reply
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

AnswerChange = Callable[[IssuerRequest, Reply], Reply]


class Browser:
    """A browser without scripts: it keeps cookies, and follows redirects only when a test does."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=20)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def begin(self, to: str = "/console/account") -> dict[str, str]:
        """Begin a sign-in; return the parameters that the browser sends to the issuer."""
        answer = self.http.get("/console/sign-in/start", params={"to": to})
        assert answer.status_code == 303, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def choose(self, issuer: LiveIssuer, asked: dict[str, str], person: str = "user_alice") -> str:
        """Sign in at the issuer; return the path to which it redirects the browser."""
        answer = httpx.post(f"{issuer.url}/authorize", data={**asked, "person": person})
        assert answer.headers["location"].startswith(self.server.url + "/console/callback?")
        return str(answer.headers["location"]).removeprefix(self.server.url)

    def sign_in(self, issuer: LiveIssuer, person: str = "user_alice") -> httpx.Response:
        return self.http.get(self.choose(issuer, self.begin(), person))

    @property
    def session(self) -> str | None:
        return self.http.cookies.get("authz")


def show(page: Page, server: Server, issuer: LiveIssuer, to: str, person: str = "user_alice") -> None:
    """Show a page of the console to a user, signed in without scripts, in a tenth of the time."""
    browser = Browser(server)
    with browser.http:
        browser.sign_in(issuer, person)
        assert browser.session
        page.context.add_cookies([{"name": "authz", "value": browser.session, "url": server.url}])
    page.goto(f"{server.url}{to}")


@contextmanager
def changed_answers(issuer: LiveIssuer, twist: AnswerChange) -> Iterator[None]:
    """An issuer whose answers are changed."""
    issuer.twist, before = twist, issuer.twist
    try:
        yield
    finally:
        issuer.twist = before


def changed_tokens(issuer: LiveIssuer, change: Callable[[dict[str, object]], dict[str, object]]) -> AnswerChange:
    def twist(asked: IssuerRequest, reply: Reply) -> Reply:
        if asked.path != "/token" or reply.status != 200:
            return reply
        return json_reply(200, change(json.loads(reply.body)))

    return twist
