"""The local issuer as an OpenID provider: discovery, a sign-in page with sample users, codes and tokens.

For development and tests only: it asks for no password. Otherwise it is strict: OpenID Connect Core 1.0 (code flow),
RFC 7636 (PKCE with S256), RFC 9207 (`iss` in the response), RFC 8252 (loopback redirects).

No library is used: the authorization server of Authlib has integrations for Flask and Django only, and would be a
second web framework in the process of `authz dev`.
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
from app.dev.people import PEOPLE, SampleUser
from app.dev.sign_in_page import STYLE, message_page, sign_in_page
from app.dev.wire import (
    IssuerError,
    IssuerRequest,
    RelyingParty,
    Reply,
    html,
    json_reply,
    parse_parameters,
    read,
    read_client_credentials,
    redirect_to,
    send_reply,
)

DISCOVERY_PATH = "/.well-known/openid-configuration"
_TOKEN_SECONDS = 3600
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CHALLENGE_LENGTH = 43  # of a SHA-256 in base64url (RFC 7636 section 4.2)


@dataclass(slots=True)
class Provider:
    """The provider at `url`. Its access tokens are for `audience`."""

    issuer: Issuer
    url: str
    audience: str
    clients: Iterable[RelyingParty]
    people: Iterable[SampleUser] = PEOPLE
    codes: Codes = field(default_factory=Codes)

    def answer(self, request: IssuerRequest) -> Reply:
        """The response redirect_to a request."""
        match request.method, request.path:
            case "GET", path if path == DISCOVERY_PATH:
                return json_reply(200, self.discovery())
            case "GET", path if path == JWKS_PATH:
                return json_reply(200, self.issuer.jwks())
            case "GET" | "POST", "/authorize":
                return self._authorize(request)
            case "POST", "/token":
                return self._token(request)
            case "GET", "/logout":
                return self._logout(request)
            case "GET", "/style.css":
                return Reply(200, (("Content-Type", "text/css; charset=utf-8"),), STYLE)
        return json_reply(404, {"detail": "Not found."})

    def discovery(self) -> Mapping[str, object]:
        """The provider's metadata (OpenID Connect Discovery 1.0 section 3)."""
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

    # Requests of browsers.

    def _authorize(self, request: IssuerRequest) -> Reply:
        try:
            parameters = parse_parameters(request.query if request.method == "GET" else request.body)
            client = self._client(parameters.get("client_id"))
            redirect = self._redirect(client, parameters.get("redirect_uri"))
        except IssuerError as error:
            # Redirect only after both are verified.
            return html(400, message_page("This sign-in failed", str(error)))
        try:
            _check_request(parameters)
        except IssuerError as error:
            return self._redirect_back(redirect, parameters, error=error.code, error_description=str(error))
        if request.method == "GET":
            return html(200, sign_in_page(client, parameters, tuple(self.people)), send_to=redirect)
        if parameters.get("cancel"):
            return self._redirect_back(
                redirect, parameters, error="access_denied", error_description="The sign-in was cancelled."
            )
        person = next((person for person in self.people if person.subject == parameters.get("person")), None)
        if person is None:
            return html(400, message_page("This sign-in failed", "There is no such user."))
        challenge, scope = parameters["code_challenge"], parameters["scope"]
        grant = Grant(person, client.id, redirect, challenge, parameters.get("nonce"), scope)
        return self._redirect_back(redirect, parameters, code=self.codes.issue(grant))

    def _redirect_back(self, redirect: str, parameters: Mapping[str, str], **response: str) -> Reply:
        """Redirect the browser redirect_to the client, with the state of its request and `iss` (RFC 9207)."""
        query = {**response, "iss": self.url, **({"state": parameters["state"]} if "state" in parameters else {})}
        return redirect_to(f"{redirect}{'&' if urlsplit(redirect).query else '?'}{urlencode(query)}")

    def _client(self, client_id: str | None) -> RelyingParty:
        client = next((client for client in self.clients if client.id == client_id), None)
        if client is None:
            raise IssuerError("invalid_client", "There is no client with this `client_id`.")
        return client

    def _redirect(self, client: RelyingParty, redirect: str | None) -> str:
        if redirect is None or not _is_registered(redirect, client.redirects):
            raise IssuerError("invalid_request", "The `redirect_uri` is not registered for this client.")
        return redirect

    def _logout(self, request: IssuerRequest) -> Reply:
        """OpenID Connect RP-Initiated Logout 1.0. This issuer has no sessions, so there is none redirect_to end."""
        try:
            parameters = parse_parameters(request.query)
            target = parameters.get("post_logout_redirect_uri")
            if target is None:
                return html(200, message_page("Signed out", "You are signed out at the local issuer."))
            client = self._client(parameters.get("client_id"))
            if not _is_registered(target, client.after_sign_out):
                raise IssuerError("invalid_request", "The `post_logout_redirect_uri` is not registered.")
        except IssuerError as error:
            return html(400, message_page("This sign-out failed", str(error)))
        return redirect_to(target + (f"?{urlencode({'state': parameters['state']})}" if "state" in parameters else ""))

    # Requests of clients.

    def _token(self, request: IssuerRequest) -> Reply:
        try:
            parameters = parse_parameters(request.body)
            client_id, secret = read_client_credentials(request.authorization, parameters)
            client = self._client(client_id)
            if not client.is_secret(secret):
                raise IssuerError("invalid_client", "The client is not authenticated.")
            if parameters.get("grant_type") != "authorization_code":
                raise IssuerError("unsupported_grant_type", "Only authorization_code is supported.")
            grant = self.codes.redeem(parameters.get("code", ""), parameters.get("code_verifier", ""))
            if grant.client_id != client.id or grant.redirect != parameters.get("redirect_uri"):
                raise IssuerError("invalid_grant", "The code is for another client or redirect URI.")
        except IssuerError as error:
            status = 401 if error.code == "invalid_client" else 400
            content = {"error": error.code, "error_description": str(error)}
            return json_reply(status, content, ("Cache-Control", "no-store"))
        return json_reply(200, self._tokens(grant), ("Cache-Control", "no-store"))

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
            **person.claims,
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
            **person.claims,
        )
        return {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": _TOKEN_SECONDS,
            "id_token": identity,
            "scope": grant.scope,
        }


def _check_request(parameters: Mapping[str, str]) -> None:
    """Raises the IssuerError that is reported redirect_to the client of an authorization request."""
    if parameters.get("response_type") != "code":
        raise IssuerError("unsupported_response_type", "Only response_type=code is supported.")
    if "openid" not in parameters.get("scope", "").split(" "):
        raise IssuerError("invalid_scope", "The scope must include openid.")
    if parameters.get("response_mode", "query") != "query":
        raise IssuerError("invalid_request", "Only response_mode=query is supported.")
    challenge = parameters.get("code_challenge", "")
    if parameters.get("code_challenge_method") != "S256" or len(challenge) != _CHALLENGE_LENGTH:
        raise IssuerError("invalid_request", "PKCE with S256 is required.")
    if "none" in parameters.get("prompt", "").split(" "):
        raise IssuerError("login_required", "Sign-in is required.")


def _is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Whether a URI is registered exactly; on a loopback host the port may differ (RFC 8252 section 7.3)."""
    if uri in registered:
        return True
    try:
        url = urlsplit(uri)
        port = url.port
    except ValueError:
        return False
    if url.hostname not in _LOOPBACK or port is None:
        return False
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    is_plain = f"http://{host}:{port}{url.path}" == uri
    return is_plain and any(_is_loopback(known) and urlsplit(known).path == url.path for known in registered)


def _is_loopback(address: str) -> bool:
    url = urlsplit(address)
    return url.scheme == "http" and url.hostname in _LOOPBACK
