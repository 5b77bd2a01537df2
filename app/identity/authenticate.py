"""One header, two kinds of token: the token's own shape picks its verifier."""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.bearer import KEY_PREFIX, authorization, read_bearer, token_of
from app.identity.jwt import JwtVerifier
from app.identity.key_verifier import ApiKeyVerifier
from app.identity.principal import ANONYMOUS, Principal


class Authenticator:
    """From the headers of a request to its principal."""

    __slots__ = ("_api_keys", "_jwt")

    def __init__(self, jwt: JwtVerifier, api_keys: ApiKeyVerifier) -> None:
        self._jwt = jwt
        self._api_keys = api_keys

    def at_once(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | None:
        """As `authenticate`; None where there is more to do than to remember."""
        value = authorization(headers)
        if value is None:
            return ANONYMOUS
        # A token that was remembered was read before, and found plain.
        if value.startswith(b"Bearer ") and (known := self._jwt.remembered.get(value[7:])):
            return known
        token = token_of(value)
        if token is None:
            return ANONYMOUS
        return self._api_keys.at_once(token) if token.startswith(KEY_PREFIX) else None

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """Who is calling; ANONYMOUS without a bearer token.

        Raises Unauthenticated when there are credentials and they are bad, CannotVerify when nobody can
        tell now, and whatever the look-up of an API key raises.
        """
        token = read_bearer(headers)
        if token is None:
            return ANONYMOUS
        return await self.verify(token)

    async def verify(self, token: str) -> Principal:
        """The principal of one token, whichever kind it is. Raises as `authenticate` does."""
        if token.startswith(KEY_PREFIX):
            return await self._api_keys.verify(token)
        return await self._jwt.verify(token)
