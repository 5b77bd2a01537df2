"""One header, two kinds of token: the token's own shape picks its verifier."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from app.identity.bearer import KEY_PREFIX, authorization, token_of
from app.identity.errors import Unauthenticated
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier, KeyCredential
from app.identity.principal import ANONYMOUS, Principal
from app.identity.refusal_log import RefusalLog

# The text of a JWT, which its verifier parses, or an API key.
Credential: TypeAlias = str | KeyCredential


class Authenticator:
    """From the headers of a request to its principal."""

    __slots__ = ("_api_keys", "_jwt", "_refusals", "max_bytes")

    def __init__(self, jwt: JwtVerifier, api_keys: ApiKeyVerifier) -> None:
        self._jwt = jwt
        self._api_keys = api_keys
        self._refusals = RefusalLog()
        self.max_bytes = jwt.max_bytes  # of a token in a header

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | Credential:
        """The caller where it is known without waiting, else the credential, parsed, for `verify`.

        ANONYMOUS without a bearer token. Raises Unauthenticated.
        """
        try:
            value = authorization(headers)
            if value is None:
                return ANONYMOUS
            # A cached token was parsed before, and in this spelling.
            if value.startswith(b"Bearer ") and (known := self._jwt.remembered.get(value[7:])):
                return known
            token = token_of(value, self.max_bytes)
            if token is None:
                return ANONYMOUS
            credential = self._parse(token)
            return credential if isinstance(credential, str) else self._api_keys.cached(credential) or credential
        except Unauthenticated as refused:
            self._refusals.note(refused)
            raise

    async def verify(self, credential: Credential) -> Principal:
        """The principal of a credential. Raises Unauthenticated, CannotVerify, and what the look-up of a key raises."""
        try:
            if isinstance(credential, str):
                return await self._jwt.verify(credential)
            return await self._api_keys.look_up(credential)
        except Unauthenticated as refused:
            self._refusals.note(refused)
            raise

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """The caller; ANONYMOUS without a bearer token. Raises as `verify` does."""
        found = self.cached(headers)
        return found if isinstance(found, Principal) else await self.verify(found)

    async def verify_token(self, token: str) -> Principal:
        """The principal of a token of either kind, which came in no header. Raises as `verify` does."""
        try:
            credential = self._parse(token)
            known = None if isinstance(credential, str) else self._api_keys.cached(credential)
        except Unauthenticated as refused:
            self._refusals.note(refused)
            raise
        return known or await self.verify(credential)

    def _parse(self, token: str) -> Credential:
        return self._api_keys.parse(token) if token.startswith(KEY_PREFIX) else token
