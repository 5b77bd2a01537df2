"""One header, two kinds of token: the token's own shape picks its verifier."""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.bearer import KEY_PREFIX, authorization, read_bearer, token_of
from app.identity.errors import Unauthenticated
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier
from app.identity.principal import ANONYMOUS, Principal
from app.identity.refusal_log import RefusalLog


class Authenticator:
    """From the headers of a request to its principal."""

    __slots__ = ("_api_keys", "_jwt", "_refusals", "max_bytes")

    def __init__(self, jwt: JwtVerifier, api_keys: ApiKeyVerifier) -> None:
        self._jwt = jwt
        self._api_keys = api_keys
        self._refusals = RefusalLog()
        self.max_bytes = jwt.max_bytes  # of a token in a header

    def at_once(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | None:
        """As `authenticate`; None where there is more to do than to remember."""
        try:
            value = authorization(headers)
            if value is None:
                return ANONYMOUS
            # A token that was remembered was read before, and found plain.
            if value.startswith(b"Bearer ") and (known := self._jwt.remembered.get(value[7:])):
                return known
            token = token_of(value, self.max_bytes)
            if token is None:
                return ANONYMOUS
            return self._api_keys.at_once(token) if token.startswith(KEY_PREFIX) else None
        except Unauthenticated as refused:
            self._refusals.note(refused)
            raise

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """Who is calling; ANONYMOUS without a bearer token.

        Raises Unauthenticated when there are credentials and they are bad, CannotVerify when they cannot
        tell now, and whatever the look-up of an API key raises.
        """
        try:
            token = read_bearer(headers, self.max_bytes)
        except Unauthenticated as refused:
            self._refusals.note(refused)
            raise
        return ANONYMOUS if token is None else await self.verify(token)

    async def verify(self, token: str) -> Principal:
        """The principal of one token, whichever kind it is. Raises as `authenticate` does."""
        try:
            if token.startswith(KEY_PREFIX):
                return await self._api_keys.verify(token)
            return await self._jwt.verify(token)
        except Unauthenticated as refused:
            self._refusals.note(refused)
            raise
