"""Authentication of a request: its token is a JWT or an API key, and the prefix of the token selects the verifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from app.identity.bearer import KEY_PREFIX, authorization, parse_bearer_token
from app.identity.errors import Unauthenticated
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier, KeyCredential
from app.identity.principal import ANONYMOUS, Principal
from app.identity.refusal_log import RefusalLog

# The text of a JWT, which its verifier parses, or an API key.
Credential: TypeAlias = str | KeyCredential


class Authenticator:
    """Finds the principal of a request from its headers."""

    __slots__ = ("_api_keys", "_jwt", "_refusals", "max_bytes")

    def __init__(self, jwt: JwtVerifier, api_keys: ApiKeyVerifier) -> None:
        self._jwt = jwt
        self._api_keys = api_keys
        self._refusals = RefusalLog()
        self.max_bytes = jwt.max_bytes  # the longest token in a header

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | Credential:
        """The principal if it is in a cache, else the parsed credential, for `verify`.

        ANONYMOUS if there is no bearer token. Raises Unauthenticated.
        """
        try:
            value = authorization(headers)
            if value is None:
                return ANONYMOUS
            # A token in the cache has been parsed before, with this exact spelling.
            if value.startswith(b"Bearer ") and (principal := self._jwt.cache.get(value[7:])):
                return principal
            token = parse_bearer_token(value, self.max_bytes)
            if token is None:
                return ANONYMOUS
            credential = self._parse(token)
            return credential if isinstance(credential, str) else self._api_keys.cached(credential) or credential
        except Unauthenticated as error:
            self._refusals.note(error)
            raise

    async def verify(self, credential: Credential) -> Principal:
        """The principal of a credential. Raises Unauthenticated, CannotVerify, and what the look-up of a key raises."""
        try:
            if isinstance(credential, str):
                return await self._jwt.verify(credential)
            return await self._api_keys.look_up(credential)
        except Unauthenticated as error:
            self._refusals.note(error)
            raise

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """The principal of a request; ANONYMOUS if there is no bearer token. Raises as `verify` does."""
        result = self.cached(headers)
        return result if isinstance(result, Principal) else await self.verify(result)

    async def verify_token(self, token: str) -> Principal:
        """The principal of a token of either kind that was not sent in a header. Raises as `verify` does."""
        try:
            credential = self._parse(token)
            principal = None if isinstance(credential, str) else self._api_keys.cached(credential)
        except Unauthenticated as error:
            self._refusals.note(error)
            raise
        return principal or await self.verify(credential)

    def _parse(self, token: str) -> Credential:
        return self._api_keys.parse(token) if token.startswith(KEY_PREFIX) else token
