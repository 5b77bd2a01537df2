"""Verification of API keys against the database, with a cache."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Unpack

from app.identity.api_keys import KeyRecord, digest, principal_of
from app.identity.credential_cache import CacheOptions, CredentialCache, CredentialState
from app.identity.errors import AuthenticationFault, Unauthenticated
from app.identity.principal import Principal
from app.identity.token_format import current


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """The API key of a request: its digest, and the environment in its prefix."""

    environment: str
    digest: bytes = field(repr=False)


class ApiKeyVerifier:
    """Verifies API keys, through `cache`, which explains the arguments that it shares.

    `environments` are those that this deployment accepts. `on_accepted` is called with the id of each accepted key.
    """

    def __init__(
        self,
        find: Callable[[bytes], Awaitable[KeyRecord | None]],
        *,
        environments: Iterable[str],
        **options: Unpack[CacheOptions],
    ) -> None:
        self._environments = frozenset(environments)
        self._shape = current().key
        self.cache: CredentialCache[KeyCredential, KeyRecord] = CredentialCache(
            find,
            _state_of,
            unknown=AuthenticationFault.KEY_UNKNOWN,
            expired=AuthenticationFault.KEY_EXPIRED,
            **options,
        )
        # Without a further call, since every request with a key passes here.
        self.cached = self.cache.cached
        self.invalidate = self.cache.invalidate
        self.invalidate_all = self.cache.invalidate_all

    async def verify(self, token: str) -> Principal:
        """The principal of a key. Raises Unauthenticated, and what `find` raises."""
        credential = self.parse(token)
        return self.cached(credential) or await self.look_up(credential)

    async def look_up(self, credential: KeyCredential) -> Principal:
        """The principal of a key that is not cached. Raises Unauthenticated, and what `find` raises."""
        return await self.cache.look_up(credential)

    def parse(self, token: str) -> KeyCredential:
        """Parse the text of a key. Raises Unauthenticated if it is malformed or of another environment."""
        shape = self._shape.fullmatch(token)
        if shape is None:
            raise Unauthenticated(AuthenticationFault.KEY_MALFORMED)
        environment = shape[1]
        if environment not in self._environments:
            raise Unauthenticated(AuthenticationFault.KEY_UNKNOWN)
        return KeyCredential(environment, digest(token))


def _state_of(record: KeyRecord, credential: KeyCredential) -> CredentialState:
    fault = None
    if not hmac.compare_digest(record.digest, credential.digest) or record.environment != credential.environment:
        fault = AuthenticationFault.KEY_UNKNOWN
    elif record.revoked_at is not None:
        fault = AuthenticationFault.KEY_REVOKED
    return CredentialState(record.id, (record.id,), principal_of(record), fault, record.expires_at)
