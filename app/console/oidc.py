"""Signs users in at the issuer: OpenID Connect Core 1.0, the authorization code flow with PKCE (RFC 7636).

No code, token, state or secret, or part of one, is in a message or a log.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import parse_qsl, quote_plus, urlencode

import httpx
import structlog

from app.console.config import Console
from app.console.discovery import Discovery, IssuerEndpoints, Undiscovered
from app.console.login_state import LoginState
from app.identity.compact import unverified_claims
from app.identity.errors import CannotVerify, Cause, Unauthenticated
from app.identity.fetch import FetchFailed, fetch, new_client
from app.identity.issuer import ID_TOKENS
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier, single_issuer
from app.identity.organization import Organization
from app.identity.principal import Principal, is_fact, stored_act

CALLBACK = "/console/callback"
SIGNED_OUT = "/console/signed-out"
_TIMEOUT_SECONDS = 5.0
_MAX_BYTES = 256 * 1024
_MAX_NAME = 200
_log = structlog.stdlib.get_logger("console")


class SignInFailed(Exception):
    """The sign-in failed. `text` says what to do; `status` is that of the page."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The user that the issuer authenticated, the permissions that it grants, and the user's organization.

    `act` is who acts as the user, if the issuer says so.
    """

    subject: str
    name: str
    permissions: tuple[str, ...]
    organization: Organization | None = None
    act: dict[str, str] | None = None


class OpenId:
    """The console as a client of its issuer. `api` verifies access tokens for the API."""

    def __init__(self, console: Console, keys: KeySet, api: JwtVerifier) -> None:
        self._console = console
        self._api = api
        self._identity = single_issuer(
            keys,
            console.issuer,
            (console.client_id,),
            skew_seconds=console.clock_skew_seconds,
            max_bytes=_MAX_BYTES,  # an ID token is not sent in a header
            kinds=ID_TOKENS,
        )
        self._discovery = Discovery(console.issuer, self._get)
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        """Close the HTTP client."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def address(self, login: LoginState) -> str:
        """The address at which the browser signs in. Raises SignInFailed."""
        endpoint = (await self._endpoints()).authorization
        query = {
            "response_type": "code",
            "client_id": self._console.client_id,
            "redirect_uri": self._console.url + CALLBACK,
            "scope": "openid profile email",
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        return _with_query(endpoint, query)

    async def sign_out_address(self) -> str | None:
        """The address to sign out at the issuer (OpenID Connect RP-Initiated Logout 1.0), if it has one."""
        try:
            endpoint = (await self._discovery.endpoints()).end_session
        except Undiscovered:
            return None
        back = self._console.url + SIGNED_OUT
        query = {"client_id": self._console.client_id, "post_logout_redirect_uri": back}
        return _with_query(endpoint, query) if endpoint else None

    async def finish(self, query: str, login: LoginState | None) -> SignedIn:
        """Finish the sign-in with the issuer's answer, for the browser that began `login`. Raises SignInFailed."""
        sent = _only_once(query)
        # Checked first: an answer that does not belong to a sign-in of this browser may be forged.
        if login is None or not hmac.compare_digest(sent.get("state", "").encode(), login.state.encode()):
            raise SignInFailed(
                "This answer does not belong to a sign-in that this browser began in the last ten minutes. "
                "Perhaps cookies are blocked, or another sign-in has begun since."
            )
        endpoints = await self._endpoints()
        if sent.get("iss", None if endpoints.states_issuer else self._console.issuer) != self._console.issuer:
            raise _refused("the answer names another issuer, or none")
        if error := sent.get("error"):
            raise _issuer_error(error, sent.get("error_description", ""))
        code = sent.get("code")
        if not code:
            raise _refused("the answer has no code")
        tokens = await self._exchange(endpoints.token, code, login)
        return await self._validate(tokens, login)

    async def _endpoints(self) -> IssuerEndpoints:
        try:
            return await self._discovery.endpoints()
        except Undiscovered as error:
            _log.warning("the issuer's endpoints are unknown", why=str(error))
            raise _unreachable() from None

    async def _get(self, url: str) -> tuple[int, bytes]:
        return await fetch(self._http(), url, seconds=_TIMEOUT_SECONDS, max_bytes=_MAX_BYTES)

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = new_client()
        return self._client

    async def _exchange(self, endpoint: str, code: str, login: LoginState) -> Mapping[str, object]:
        """The tokens for a code (RFC 6749 section 4.1.3)."""
        console = self._console
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": console.url + CALLBACK,
            "code_verifier": login.verifier,
        }
        auth = None
        if console.client_secret is None:
            form["client_id"] = console.client_id
        else:  # RFC 6749 section 2.3.1: both are form-encoded first
            auth = quote_plus(console.client_id), quote_plus(console.client_secret)
        try:
            status, body = await fetch(
                self._http(), endpoint, seconds=_TIMEOUT_SECONDS, max_bytes=_MAX_BYTES, form=form, auth=auth
            )
        except FetchFailed as error:
            _log.warning("the issuer did not answer the exchange of a code", why=str(error))
            raise _unreachable() from None
        try:
            tokens = json.loads(body)
        except (ValueError, RecursionError):
            tokens = None
        if not isinstance(tokens, dict):
            raise _refused(f"the token endpoint answered {status} without an object")
        if status != 200:
            raise _refused(f"the token endpoint answered {status}: {_word(tokens.get('error'))}")
        if str(tokens.get("token_type")).lower() != "bearer":
            raise _refused("the token type is not Bearer")
        return tokens

    async def _validate(self, tokens: Mapping[str, object], login: LoginState) -> SignedIn:
        """Validate the tokens (OpenID Connect Core, section 3.1.3.7), including the signature."""
        try:
            user = await self._identity.verify(str(tokens.get("id_token")))
        except Unauthenticated as error:
            raise _refused(f"the ID token is invalid: {error.reason}") from None
        except CannotVerify as error:
            _log.warning("an ID token could not be verified", why=error.detail)
            raise _unreachable() from None
        if self._api.is_reserved(self._console.issuer, user.subject):
            raise _refused(f"the ID token is invalid: {Unauthenticated(Cause.RESERVED_SUB).reason}")
        claims = user.claims
        client = self._console.client_id
        if claims.get("aud") not in (client, [client]) or claims.get("azp", client) != client:
            raise _refused("the ID token has another audience than this client")
        if "iat" not in claims:
            raise _refused("the ID token has no iat")
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), login.nonce.encode()):
            raise _refused("the ID token has the nonce of another sign-in")
        granted = await self._granted(tokens.get("access_token"), user)
        # Also in an access token that is not for the API: otherwise who acts as the user would be the user here.
        stated = (granted.claims, claims, unverified_claims(str(tokens.get("access_token")).encode(errors="replace")))
        act = next(filter(None, map(stored_act, stated)), None)
        name = _name(claims, user.subject)
        return SignedIn(user.subject, name, _permissions(granted), granted.organization, act)

    async def _granted(self, access_token: object, user: Principal) -> Principal:
        """The principal of the access token if the API accepts it, else that of the ID token."""
        if not isinstance(access_token, str):
            return user
        half = urlsafe_b64encode(sha256(access_token.encode()).digest()[:16]).rstrip(b"=").decode()
        if user.claims.get("at_hash", half) != half:
            raise _refused("the access token does not match at_hash")
        try:
            granted = await self._api.verify(access_token)
        except Unauthenticated:
            return user
        except CannotVerify as error:
            _log.warning("an access token could not be verified", why=error.detail)
            raise _unreachable() from None
        if granted.subject != user.subject:
            raise _refused("the access token has another subject")
        return granted


def _permissions(granted: Principal) -> tuple[str, ...]:
    return tuple(sorted(grant for grant in granted.held if not is_fact(grant)))


def _name(claims: Mapping[str, object], subject: str) -> str:
    """The display name of the user."""
    for claim in ("name", "preferred_username", "email"):
        name = claims.get(claim)
        if isinstance(name, str) and name.strip():
            # Databases refuse NUL in a text. Claims with lone surrogates are refused before.
            return name.strip()[:_MAX_NAME].replace("\x00", "\ufffd")
    return subject


def _only_once(query: str) -> dict[str, str]:
    """The parameters of an answer. Raises SignInFailed if one is repeated."""
    pairs = parse_qsl(query, keep_blank_values=True, errors="replace")
    sent = dict(pairs)
    if len(sent) != len(pairs):
        raise SignInFailed("The issuer's answer is ambiguous: it repeats a parameter.")
    return sent


def _with_query(endpoint: str, query: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def _word(value: object) -> str:
    """An error code of the issuer for the log, if it is a short word."""
    return value if isinstance(value, str) and value.isidentifier() and len(value) <= 50 else "an unreadable error"


def _refused(why: str) -> SignInFailed:
    _log.warning("a sign-in was refused", why=why)
    return SignInFailed(
        "The issuer's answer was not valid, so you were not signed in. The operator can read why in the log.", 502
    )


def _unreachable() -> SignInFailed:
    return SignInFailed("The issuer gave no valid answer, so you cannot sign in now. Try again in a moment.", 503)


def _issuer_error(error: str, description: str) -> SignInFailed:
    """The issuer's refusal (OpenID Connect Core, section 3.1.2.6), in its words."""
    if error == "access_denied":
        return SignInFailed("You were not signed in: it was cancelled or refused at the issuer.", 403)
    _log.warning("the issuer refused a sign-in", error=_word(error))
    text = f"{error[:100]}: {description[:300]}" if description else error[:100]
    return SignInFailed(f"The issuer says: {text}", 403)
