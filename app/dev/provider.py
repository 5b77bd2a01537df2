"""The local issuer as an OpenID provider: discovery, a sign-in page with sample people, codes, tokens.

For development and tests alone: it asks for no password. All else is as strict as a real one: OpenID Connect
Core 1.0 (code flow), RFC 7636 (PKCE, S256 alone), RFC 9207 (`iss` in the answer), RFC 8252 (loopback redirects).
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlencode, urlsplit

from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from app.dev.codes import Codes, Grant
from app.dev.issuer import JWKS_PATH, Issuer
from app.dev.people import PEOPLE, Person
from app.dev.sign_in_page import STYLE, message_page, sign_in_page
from app.dev.wire import (
    Client,
    IssuerError,
    IssuerRequest,
    Reply,
    basic_or_body,
    html,
    only_once,
    read,
    send_reply,
    tell,
    to,
)

DISCOVERY_PATH = "/.well-known/openid-configuration"
_TOKEN_SECONDS = 3600
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CHALLENGE_LENGTH = 43  # of a SHA-256 in base64url (RFC 7636 section 4.2)


@dataclass(slots=True)
class Provider:
    """Answers what browsers and clients ask of the issuer at `url`. Its tokens for the API are for `audience`."""

    issuer: Issuer
    url: str
    audience: str
    clients: Iterable[Client]
    people: Iterable[Person] = PEOPLE
    codes: Codes = field(default_factory=Codes)

    def answer(self, asked: IssuerRequest) -> Reply:
        """The answer to one request."""
        match asked.method, asked.path:
            case "GET", path if path == DISCOVERY_PATH:
                return tell(200, self.discovery())
            case "GET", path if path == JWKS_PATH:
                return tell(200, self.issuer.jwks())
            case "GET" | "POST", "/authorize":
                return self._authorize(asked)
            case "POST", "/token":
                return self._token(asked)
            case "GET", "/logout":
                return self._logout(asked)
            case "GET", "/style.css":
                return Reply(200, (("Content-Type", "text/css; charset=utf-8"),), STYLE)
        return tell(404, {"detail": "Not found."})

    def discovery(self) -> Mapping[str, object]:
        """What a client reads first (OpenID Connect Discovery 1.0 section 3)."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "end_session_endpoint": f"{self.url}/logout",
            "jwks_uri": f"{self.url}{JWKS_PATH}",
            "scopes_supported": ["openid", "profile", "email"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "none"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": ["sub", "name", "email", "permissions"],
            "authorization_response_iss_parameter_supported": True,
        }

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The issuer as an ASGI application."""
        if scope["type"] == ScopeType.HTTP:
            await send_reply(self.answer(await read(scope, receive)), send)

    # The browser's way.

    def _authorize(self, asked: IssuerRequest) -> Reply:
        try:
            sent = only_once(asked.query if asked.method == "GET" else asked.body)
            client = self._client(sent.get("client_id"))
            redirect = self._redirect(client, sent.get("redirect_uri"))
        except IssuerError as wrong:
            # Redirect only after both are verified.
            return html(400, message_page("This sign-in cannot go on", str(wrong)))
        try:
            _check_request(sent)
        except IssuerError as wrong:
            return self._back(redirect, sent, error=wrong.code, error_description=str(wrong))
        if asked.method == "GET":
            return html(200, sign_in_page(client, sent, tuple(self.people)), send_to=redirect)
        if sent.get("cancel"):
            return self._back(redirect, sent, error="access_denied", error_description="The sign-in was cancelled.")
        person = next((person for person in self.people if person.subject == sent.get("person")), None)
        if person is None:
            return html(400, message_page("This sign-in cannot go on", "There is no such person here."))
        grant = Grant(person, client.id, redirect, sent["code_challenge"], sent.get("nonce"), sent["scope"])
        return self._back(redirect, sent, code=self.codes.issue(grant))

    def _back(self, redirect: str, sent: Mapping[str, str], **answer: str) -> Reply:
        """Send the browser to the client, with the state that it sent and who answers (RFC 9207)."""
        query = {**answer, "iss": self.url, **({"state": sent["state"]} if "state" in sent else {})}
        return to(f"{redirect}{'&' if urlsplit(redirect).query else '?'}{urlencode(query)}")

    def _client(self, client_id: str | None) -> Client:
        client = next((client for client in self.clients if client.id == client_id), None)
        if client is None:
            raise IssuerError("invalid_client", "No client of this `client_id` is known here.")
        return client

    def _redirect(self, client: Client, redirect: str | None) -> str:
        if redirect is None or not _may_return_to(redirect, client.redirects):
            raise IssuerError("invalid_request", "The `redirect_uri` is not one that this client has registered.")
        return redirect

    def _logout(self, asked: IssuerRequest) -> Reply:
        """OpenID Connect RP-Initiated Logout 1.0. This issuer keeps no session, so there is none to end."""
        try:
            sent = only_once(asked.query)
            back = sent.get("post_logout_redirect_uri")
            if back is None:
                return html(200, message_page("Signed out", "You are signed out at the local issuer."))
            client = self._client(sent.get("client_id"))
            if not _may_return_to(back, client.after_sign_out):
                raise IssuerError("invalid_request", "The `post_logout_redirect_uri` is not registered.")
        except IssuerError as wrong:
            return html(400, message_page("This sign-out cannot go on", str(wrong)))
        return to(back + (f"?{urlencode({'state': sent['state']})}" if "state" in sent else ""))

    # The client's way.

    def _token(self, asked: IssuerRequest) -> Reply:
        try:
            sent = only_once(asked.body)
            client_id, secret = basic_or_body(asked.authorization, sent)
            client = self._client(client_id)
            if not client.proves_itself(secret):
                raise IssuerError("invalid_client", "The client did not prove itself.")
            if sent.get("grant_type") != "authorization_code":
                raise IssuerError("unsupported_grant_type", "Only authorization_code is granted here.")
            grant = self.codes.redeem(sent.get("code", ""), sent.get("code_verifier", ""))
            if grant.client_id != client.id or grant.redirect != sent.get("redirect_uri"):
                raise IssuerError("invalid_grant", "The code is for another client or address.")
        except IssuerError as wrong:
            status = 401 if wrong.code == "invalid_client" else 400
            return tell(status, {"error": wrong.code, "error_description": str(wrong)}, ("Cache-Control", "no-store"))
        return tell(200, self._tokens(grant), ("Cache-Control", "no-store"))

    def _tokens(self, grant: Grant) -> Mapping[str, object]:
        person = grant.person
        access = self.issuer.mint(
            person.subject,
            person.permissions,
            issuer=self.url,
            audience=self.audience,
            ttl_seconds=_TOKEN_SECONDS,
            azp=grant.client_id,
            jti=secrets.token_hex(8),
        )
        claims: dict[str, object] = {"name": person.name, "email": person.email, "azp": grant.client_id}
        if grant.nonce is not None:
            claims["nonce"] = grant.nonce
        half = sha256(access.encode()).digest()[:16]  # OpenID Connect Core section 3.1.3.6
        claims["at_hash"] = urlsafe_b64encode(half).rstrip(b"=").decode()
        identity = self.issuer.mint(
            person.subject,
            person.permissions,
            issuer=self.url,
            audience=grant.client_id,
            ttl_seconds=_TOKEN_SECONDS,
            **claims,
        )
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": _TOKEN_SECONDS,
            "id_token": identity,
            "scope": grant.scope,
        }


def _check_request(sent: Mapping[str, str]) -> None:
    """What is sent to the client, once its address is known."""
    if sent.get("response_type") != "code":
        raise IssuerError("unsupported_response_type", "Only response_type=code is served.")
    if "openid" not in sent.get("scope", "").split(" "):
        raise IssuerError("invalid_scope", "The scope must have openid in it.")
    if sent.get("response_mode", "query") != "query":
        raise IssuerError("invalid_request", "Only response_mode=query is served.")
    challenge = sent.get("code_challenge", "")
    if sent.get("code_challenge_method") != "S256" or len(challenge) != _CHALLENGE_LENGTH:
        raise IssuerError("invalid_request", "PKCE with S256 is demanded.")
    if "none" in sent.get("prompt", "").split(" "):
        raise IssuerError("login_required", "Sign-in is required.")


def _may_return_to(address: str, registered: Iterable[str]) -> bool:
    """Whether it is registered, exactly; on a loopback host the port alone may differ (RFC 8252 section 7.3)."""
    if address in registered:
        return True
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        return False
    if url.hostname not in _LOOPBACK or port is None:
        return False
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    plain = f"http://{host}:{port}{url.path}" == address
    return plain and any(_is_loopback(known) and urlsplit(known).path == url.path for known in registered)


def _is_loopback(address: str) -> bool:
    url = urlsplit(address)
    return url.scheme == "http" and url.hostname in _LOOPBACK
