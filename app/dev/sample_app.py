"""A sample app of a third party: it asks a user for access, and calls the API for them.

An app without a secret, as on a device: authorization code with PKCE, and a redirect to a loopback address. It is a
part of `authz dev` only, and keeps what it holds in memory.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

import httpx
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from app.dev.sign_in_page import STYLE, sample_page
from app.dev.wire import IssuerError, IssuerRequest, Reply, html, parse_parameters, read, redirect_to, send_reply

NAME = "Sample app"
REDIRECT = "http://127.0.0.1/callback"  # registered without a port, which differs from run to run
_SCOPE = "catalog:read holdings:read"
_CALLS = ("/api/v1/teams/", "/api/v1/sources/")
_KEYS = "/api/v1/api-keys/"
_MAX_OPEN = 100

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class HeldToken:
    """An access token, and what its user allowed."""

    access: str = field(repr=False)
    scope: str


@dataclass(slots=True)
class SampleApp:
    """The app with `client_id` at `url`, for the API and its authorization server at `api`.

    It asks for `scope`, and then calls the paths of `calls`, and the one of API keys, which no app may.
    """

    client_id: str
    url: str
    api: str
    scope: str = _SCOPE
    calls: Sequence[str] = _CALLS
    verifiers: OrderedDict[str, str] = field(default_factory=OrderedDict, repr=False)  # by state, the oldest first
    tokens: OrderedDict[str, HeldToken] = field(default_factory=OrderedDict, repr=False)  # by the name in a page

    @property
    def redirect(self) -> str:
        """The address to which answers are sent."""
        return f"{self.url}/callback"

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app as an ASGI application."""
        if scope["type"] == ScopeType.HTTP:
            await send_reply(await self.answer(await read(scope, receive)), send)

    async def answer(self, request: IssuerRequest) -> Reply:
        """The response to a request of a browser."""
        match request.method, request.path:
            case "GET", "/":
                text = "It shows what an app of a third party can do for a user who allows it."
                return html(200, sample_page(NAME, text, connect="/connect"))
            case "GET", "/connect":
                return redirect_to(self._authorize())
            case "GET", "/callback":
                return await self._finish(request.query)
            case "GET", "/calls":
                return await self._call(request.query)
            case "GET", "/style.css":
                return Reply(200, (("Content-Type", "text/css; charset=utf-8"),), STYLE)
        return html(404, sample_page("Not found", "There is no such page."))

    def _authorize(self) -> str:
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        _keep(self.verifiers, state, verifier)
        challenge = urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect,
            "scope": self.scope,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.api}/oauth/authorize?{urlencode(query)}"

    async def _finish(self, query: str) -> Reply:
        try:
            answer = parse_parameters(query)
        except IssuerError as error:
            return html(400, sample_page("No access", str(error), connect="/connect"))
        verifier = self.verifiers.pop(answer.get("state", ""), None)
        if verifier is None or answer.get("iss") != self.api:
            return html(
                400,
                sample_page(
                    "No access",
                    "This answer is to no open request of this app: it was used, or has expired. Ask for access again.",
                    connect="/connect",
                ),
            )
        if "code" not in answer:
            text = answer.get("error_description", "You did not allow it.")
            return html(403, sample_page("No access", text, connect="/connect"))
        async with httpx.AsyncClient(base_url=self.api, timeout=10) as client:
            form = {
                "grant_type": "authorization_code",
                "client_id": self.client_id,
                "code": answer["code"],
                "code_verifier": verifier,
                "redirect_uri": self.redirect,
            }
            issued = await client.post("/oauth/token", data=form)
            if issued.status_code != 200:
                return html(502, sample_page("No access", issued.text, connect="/connect"))
        tokens, name = issued.json(), secrets.token_urlsafe(32)
        _keep(self.tokens, name, HeldToken(tokens["access_token"], tokens["scope"]))
        return redirect_to(f"{self.url}/calls?{urlencode({'token': name})}")

    async def _call(self, query: str) -> Reply:
        token = self.tokens.get(dict(parse_qsl(query)).get("token", ""))
        if token is None:
            return html(404, sample_page("No access", "This app has no such token any more.", connect="/connect"))
        headers = {"Authorization": f"Bearer {token.access}"}
        async with httpx.AsyncClient(base_url=self.api, timeout=10) as client:
            answers = [(path, await client.get(path, headers=headers)) for path in (*self.calls, _KEYS)]
        calls = {f"GET {path}": _shown(answer) for path, answer in answers}
        text = f"You allowed: {token.scope}. No app manages API keys, whatever you allow it."
        again = f"/calls?{query}"
        return html(200, sample_page("Access", text, calls=calls, connect="/connect", again=again, console=self.api))


def _keep(kept: OrderedDict[str, _T], name: str, value: _T) -> None:
    """Keep a value, and evict the oldest beyond the limit."""
    while len(kept) >= _MAX_OPEN:
        kept.popitem(last=False)
    kept[name] = value


def _shown(answer: httpx.Response) -> str:
    content: Mapping[str, object] = answer.json()
    if answer.status_code != 200:
        return f"{answer.status_code} {content.get('detail', '')}"
    results = content.get("results")
    return f"200, {len(results)} results" if isinstance(results, list) else "200"
