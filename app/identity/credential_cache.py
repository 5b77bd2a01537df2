"""A cache of credentials that are stored in the database: API keys, and the access tokens of third-party apps."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, NotRequired, Protocol, TypeAlias, TypedDict, TypeVar

from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.principal import Principal

MAX_CACHED = 100_000
MAX_UNKNOWN = 10_000
# A credential is read again after this time, in case a change of it was not reported.
REREAD_SECONDS = 3600.0

# What a credential depends on, as the reports of changes name it.
Tag: TypeAlias = int | str


class Digested(Protocol):
    """A credential that was parsed."""

    @property
    def digest(self) -> bytes:
        """The SHA-256 of its text."""


_Credential = TypeVar("_Credential", bound=Digested)
_Record = TypeVar("_Record")


@dataclass(frozen=True, slots=True)
class CredentialState:
    """What a look-up found out about a credential.

    `fault` is what is wrong with it, apart from its expiry. `use` is the id under which its use is recorded.
    """

    use: int
    tags: tuple[Tag, ...]
    principal: Principal
    fault: AuthenticationFault | Cause | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class _Entry:
    state: CredentialState
    fresh_until: float  # without any report of changes
    reread_at: float  # whatever is reported


class CacheOptions(TypedDict):
    """The arguments of a cache that its verifier passes on."""

    cache_seconds: float
    on_accepted: Callable[[int], None]
    clock: NotRequired[Callable[[], float]]
    now: NotRequired[Callable[[], datetime]]
    max_cached: NotRequired[int]
    max_unknown: NotRequired[int]


class CredentialCache(Generic[_Credential, _Record]):
    """Answers for credentials by a state of the database that is at most `cache_seconds` old.

    That state was read at the look-up, or is known from `apply_changes`, which reports the tags of what has changed and
    thus that nothing else has. `find` looks up a digest; its exceptions are passed on. `state_of` reads what it found.
    `unknown` and `expired` are the faults of a credential that was not found, or has expired. `on_accepted` is called
    with the `use` of each accepted credential. `clock` is monotonic, in seconds. `max_cached` and `max_unknown` limit
    the number of credentials, and of digests that belong to none.
    """

    def __init__(
        self,
        find: Callable[[bytes], Awaitable[_Record | None]],
        state_of: Callable[[_Record, _Credential], CredentialState],
        *,
        unknown: AuthenticationFault | Cause,
        expired: AuthenticationFault,
        cache_seconds: float,
        on_accepted: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        max_cached: int = MAX_CACHED,
        max_unknown: int = MAX_UNKNOWN,
    ) -> None:
        self._find = find
        self._state_of = state_of
        self._unknown_fault = unknown
        self._expired_fault = expired
        self._cache_seconds = cache_seconds
        self._on_accepted = on_accepted
        self._clock = clock
        self._now = now
        self._max_cached, self._max_unknown = (max_cached, max_unknown) if cache_seconds > 0 else (0, 0)
        # Both by digest, the oldest first. Two, so that a flood of invented tokens cannot evict real ones.
        self._cached: dict[bytes, _Entry] = {}
        self._unknown: dict[bytes, float] = {}
        # The digests of a tag. Most tags have one, which is stored without a set, as there are 100,000 of them.
        self._tagged: dict[Tag, bytes | set[bytes]] = {}
        self._changes_valid_until = float("-inf")
        self._last_change = object()  # replaced with each change
        self.hits = 0  # of both caches
        self.misses = 0

    def __len__(self) -> int:
        """The number of cached credentials, without unknown digests."""
        return len(self._cached)

    @property
    def tags(self) -> int:
        """The number of tags of cached credentials."""
        return len(self._tagged)

    def cached(self, credential: _Credential) -> Principal | None:
        """The principal of a cached credential; None if it has to be looked up. Raises Unauthenticated."""
        return self.cached_digest(credential.digest)

    def cached_digest(self, digest: bytes) -> Principal | None:
        """Like `cached`, by the digest of a text that need not be parsed: what is cached has been."""
        entry = self._cached.get(digest)
        if entry is None or not (
            (now := self._clock()) < entry.fresh_until or (now < self._changes_valid_until and now < entry.reread_at)
        ):
            return None
        self.hits += 1
        return self._accept(entry.state)

    async def look_up(self, credential: _Credential) -> Principal:
        """The principal of a credential that is not cached. Raises Unauthenticated, and what `find` raises."""
        # The answer is as old as the moment of the query.
        queried_at, digest = self._clock(), credential.digest
        if queried_at < self._unknown.get(digest, queried_at):
            self.hits += 1
            raise Unauthenticated(self._unknown_fault)
        self.misses += 1
        last_change = self._last_change
        record = await self._find(digest)
        fresh_until = queried_at + self._cache_seconds
        unchanged = self._last_change is last_change
        if record is None:
            if unchanged and self._max_unknown:
                self._unknown.pop(digest, None)
                while len(self._unknown) >= self._max_unknown:
                    del self._unknown[next(iter(self._unknown))]
                self._unknown[digest] = fresh_until
            raise Unauthenticated(self._unknown_fault)
        state = self._state_of(record, credential)
        if unchanged and self._max_cached:
            self._evict(digest)
            while len(self._cached) >= self._max_cached:
                self._evict(next(iter(self._cached)))
            self._cached[digest] = _Entry(state, fresh_until, queried_at + REREAD_SECONDS)
            for tag in state.tags:
                self._add_tag(tag, digest)
        return self._accept(state)

    def apply_changes(self, changed: Iterable[Tag], queried_at: float) -> None:
        """Invalidate what has these tags: at `queried_at` nothing else had changed since the previous call.

        While calls follow each other without a gap, the other cached credentials stay valid.
        """
        for tag in changed:
            self.invalidate(tag)
        self._changes_valid_until = queried_at + self._cache_seconds

    def invalidate(self, changed: Tag | bytes) -> None:
        """Remove what has a tag, or the credential with a digest, from the cache.

        The result of a look-up that is under way may be outdated, and is not cached.
        """
        self._last_change = object()
        found = changed if isinstance(changed, bytes) else self._tagged.get(changed, ())
        for digest in (found,) if isinstance(found, bytes) else tuple(found):
            self._evict(digest)
            self._unknown.pop(digest, None)

    def invalidate_all(self) -> None:
        """Clear the cache, after a gap in the reports of changes."""
        self._last_change = object()
        self._cached.clear()
        self._unknown.clear()
        self._tagged.clear()

    def _accept(self, state: CredentialState) -> Principal:
        if state.fault is not None:
            raise Unauthenticated(state.fault)
        if state.expires_at is not None and state.expires_at <= self._now():
            raise Unauthenticated(self._expired_fault)
        self._on_accepted(state.use)
        return state.principal

    def _add_tag(self, tag: Tag, digest: bytes) -> None:
        before = self._tagged.get(tag)
        if before is None or before == digest:
            self._tagged[tag] = digest
        elif isinstance(before, set):
            before.add(digest)
        else:
            self._tagged[tag] = {before, digest}

    def _evict(self, digest: bytes) -> None:
        entry = self._cached.pop(digest, None)
        for tag in entry.state.tags if entry is not None else ():
            tagged = self._tagged.get(tag)
            if isinstance(tagged, set):
                tagged.discard(digest)
            if not tagged or tagged == digest:
                self._tagged.pop(tag, None)
