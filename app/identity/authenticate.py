"""Authentication of a request: its token is a JWT, an API key or the access token of an app, as its prefix says."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import TypeAlias, TypeVar

from app.identity.access_token_verifier import AccessTokenCredential, AccessTokenVerifier
from app.identity.bearer import authorization, parse_bearer_token
from app.identity.errors import Unauthenticated
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier, KeyCredential
from app.identity.principal import ANONYMOUS, Principal
from app.identity.refusal_log import RefusalLog
from app.identity.token_format import current

# The text of a JWT, which its verifier parses, an API key, or the access token of an app.
Credential: TypeAlias = str | KeyCredential | AccessTokenCredential


_Start = TypeVar("_Start", str, bytes)


def _only_or_all(starts: tuple[_Start, ...]) -> _Start | tuple[_Start, ...]:
    """For `startswith`, to which a tuple takes longer, for each token."""
    match starts:
        case (only,):
            return only
    return starts


class Authenticator:
    """Finds the principal of a request from its headers."""

    __slots__ = (
        "_api_keys",
        "_app_starts",
        "_apps",
        "_bearer_starts",
        "_cached_app",
        "_cached_jwt",
        "_cached_key",
        "_jwt",
        "_refusals",
        "_starts",
        "max_bytes",
    )

    def __init__(self, jwt: JwtVerifier, api_keys: ApiKeyVerifier, apps: AccessTokenVerifier) -> None:
        self._jwt = jwt
        self._api_keys = api_keys
        self._apps = apps
        self._refusals = RefusalLog()
        self._starts, self._app_starts = _only_or_all(current().starts), current().app_starts
        self._bearer_starts = _only_or_all(tuple(f"Bearer {start}".encode() for start in current().starts))
        self._cached_jwt = jwt.cache.get
        self._cached_key = api_keys.cache.cached_digest
        self._cached_app = apps.cache.cached_digest
        self.max_bytes = jwt.max_bytes  # the longest token in a header

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | Credential:
        """The principal if it is in a cache, else the parsed credential, for `verify`.

        ANONYMOUS if there is no bearer token. Raises Unauthenticated.
        """
        try:
            value = authorization(headers)
            if value is None:
                return ANONYMOUS
            # A token in a cache has been parsed before, with this exact spelling.
            if value.startswith(self._bearer_starts):
                known = sha256(value[7:]).digest()
                principal = self._cached_key(known) or self._cached_app(known)
            elif value.startswith(b"Bearer "):
                principal = self._cached_jwt(value[7:])
            else:
                principal = None
            if principal is not None:
                return principal
            token = parse_bearer_token(value, self.max_bytes)
            return ANONYMOUS if token is None else self._cached(token)
        except Unauthenticated as error:
            self._refusals.note(error)
            raise

    async def verify(self, credential: Credential) -> Principal:
        """The principal of a credential. Raises Unauthenticated, CannotVerify, and what the look-up of a key raises."""
        try:
            if isinstance(credential, str):
                return await self._jwt.verify(credential)
            if isinstance(credential, KeyCredential):
                return await self._api_keys.look_up(credential)
            return await self._apps.look_up(credential)
        except Unauthenticated as error:
            self._refusals.note(error)
            raise

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """The principal of a request; ANONYMOUS if there is no bearer token. Raises as `verify` does."""
        result = self.cached(headers)
        return result if isinstance(result, Principal) else await self.verify(result)

    async def verify_token(self, token: str) -> Principal:
        """The principal of a token of any kind that was not sent in a header. Raises as `verify` does."""
        try:
            result = self._cached(token)
        except Unauthenticated as error:
            self._refusals.note(error)
            raise
        return result if isinstance(result, Principal) else await self.verify(result)

    def _cached(self, token: str) -> Principal | Credential:
        if not token.startswith(self._starts):
            return token
        if token.startswith(self._app_starts):  # before keys, which begin like this, too
            app = self._apps.parse(token)
            return self._apps.cached(app) or app
        key = self._api_keys.parse(token)
        return self._api_keys.cached(key) or key
