"""Verification of API keys against the database, with a cache."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.identity.api_keys import SHAPE, KeyRecord, digest, principal_of
from app.identity.errors import AuthenticationFault, Unauthenticated
from app.identity.principal import Principal

MAX_CACHED_KEYS = 100_000
MAX_UNKNOWN_KEYS = 10_000
# A key is read again after this time, in case a change of it was not reported.
REREAD_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """The API key of a request: its digest, and the environment in its prefix."""

    environment: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _CachedKey:
    id: int
    principal: Principal
    fault: AuthenticationFault | None
    expires_at: datetime | None
    fresh_until: float  # without any report of changes
    reread_at: float  # whatever is reported


class ApiKeyVerifier:
    """Verifies API keys, each by a state of the database that is at most `cache_seconds` old.

    That state was read at the look-up of the key, or is known from `apply_changes`, which reports the keys that have
    changed and thus that no other has. `find` looks up a digest; its exceptions are passed on. `environments` are
    those that this deployment accepts. `on_accepted` is called with the id of each accepted key. `clock` is monotonic,
    in seconds. `max_cached` and `max_unknown` limit the cache of keys and of digests that are no key.
    """

    def __init__(
        self,
        find: Callable[[bytes], Awaitable[KeyRecord | None]],
        *,
        environments: Iterable[str],
        cache_seconds: float,
        on_accepted: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        max_cached: int = MAX_CACHED_KEYS,
        max_unknown: int = MAX_UNKNOWN_KEYS,
    ) -> None:
        self._find = find
        self._environments = frozenset(environments)
        self._cache_seconds = cache_seconds
        self._on_accepted = on_accepted
        self._clock = clock
        self._now = now
        self._max_cached, self._max_unknown = (max_cached, max_unknown) if cache_seconds > 0 else (0, 0)
        # Both by digest, the oldest first. Two, so that a flood of invented keys cannot evict real ones.
        self._cached: dict[bytes, _CachedKey] = {}
        self._unknown: dict[bytes, float] = {}
        self._digests: dict[int, bytes] = {}
        self._changes_valid_until = float("-inf")
        self._last_change = object()  # replaced with each change
        self.hits = 0  # of both caches

    async def verify(self, token: str) -> Principal:
        """The principal of a key. Raises Unauthenticated, and what `find` raises."""
        credential = self.parse(token)
        return self.cached(credential) or await self.look_up(credential)

    def parse(self, token: str) -> KeyCredential:
        """Parse the text of a key. Raises Unauthenticated if it is malformed or of another environment."""
        shape = SHAPE.fullmatch(token)
        if shape is None:
            raise Unauthenticated(AuthenticationFault.KEY_MALFORMED)
        environment = shape[1]
        if environment not in self._environments:
            raise Unauthenticated(AuthenticationFault.KEY_UNKNOWN)
        return KeyCredential(environment, digest(token))

    def cached(self, credential: KeyCredential) -> Principal | None:
        """The principal of a cached key; None if the key has to be looked up. Raises Unauthenticated."""
        key = self._cached.get(credential.digest)
        if key is None or not (
            (now := self._clock()) < key.fresh_until or (now < self._changes_valid_until and now < key.reread_at)
        ):
            return None
        self.hits += 1
        return self._accept(key)

    async def look_up(self, credential: KeyCredential) -> Principal:
        """The principal of a key that is not cached. Raises as `verify` does."""
        return self._accept(await self._load(credential.digest, credential.environment))

    def _accept(self, key: _CachedKey) -> Principal:
        if key.fault is not None:
            raise Unauthenticated(key.fault)
        if key.expires_at is not None and key.expires_at <= self._now():
            raise Unauthenticated(AuthenticationFault.KEY_EXPIRED)
        self._on_accepted(key.id)
        return key.principal

    @property
    def cached_keys(self) -> int:
        """The number of cached keys, without unknown digests."""
        return len(self._cached)

    def apply_changes(self, changed: Iterable[int], queried_at: float) -> None:
        """Invalidate the keys with these ids: at `queried_at` no other key had changed since the previous call.

        While calls follow each other without a gap, the other cached keys stay valid.
        """
        for key_id in changed:
            self.invalidate(key_id)
        self._changes_valid_until = queried_at + self._cache_seconds

    def invalidate(self, key: int | bytes) -> None:
        """Remove a changed key, given by its id or digest, from the cache.

        The result of a look-up that is under way may be outdated, and is not cached.
        """
        self._last_change = object()
        key_digest = self._digests.get(key) if isinstance(key, int) else key
        if key_digest is not None:
            self._evict(key_digest)
            self._unknown.pop(key_digest, None)

    def invalidate_all(self) -> None:
        """Remove all keys from the cache, after a gap in the reports of changes."""
        self._last_change = object()
        self._cached.clear()
        self._unknown.clear()
        self._digests.clear()

    async def _load(self, key_digest: bytes, environment: str) -> _CachedKey:
        # The answer is as old as the moment of the query.
        queried_at = self._clock()
        if queried_at < self._unknown.get(key_digest, queried_at):
            self.hits += 1
            raise Unauthenticated(AuthenticationFault.KEY_UNKNOWN)
        last_change = self._last_change
        record = await self._find(key_digest)
        fresh_until = queried_at + self._cache_seconds
        unchanged = self._last_change is last_change
        if record is None:
            if unchanged and self._max_unknown:
                self._unknown.pop(key_digest, None)
                while len(self._unknown) >= self._max_unknown:
                    del self._unknown[next(iter(self._unknown))]
                self._unknown[key_digest] = fresh_until
            raise Unauthenticated(AuthenticationFault.KEY_UNKNOWN)
        fault = _fault(record, key_digest, environment)
        reread_at = queried_at + REREAD_SECONDS
        key = _CachedKey(record.id, principal_of(record), fault, record.expires_at, fresh_until, reread_at)
        if unchanged and self._max_cached:
            self._evict(key_digest)
            while len(self._cached) >= self._max_cached:
                self._evict(next(iter(self._cached)))
            self._cached[key_digest] = key
            self._digests[record.id] = key_digest
        return key

    def _evict(self, key_digest: bytes) -> None:
        key = self._cached.pop(key_digest, None)
        if key is not None:
            self._digests.pop(key.id, None)


def _fault(record: KeyRecord, key_digest: bytes, environment: str) -> AuthenticationFault | None:
    """What is wrong with a key, apart from its expiry."""
    if not hmac.compare_digest(record.digest, key_digest) or record.environment != environment:
        return AuthenticationFault.KEY_UNKNOWN
    return AuthenticationFault.KEY_REVOKED if record.revoked_at is not None else None
