"""Verifies API keys against what the database says of them, remembering that for a bounded time."""

from __future__ import annotations

import hmac
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.identity.api_keys import SHAPE, KeyRecord, digest, principal_of
from app.identity.errors import AuthenticationFault, Unauthenticated
from app.identity.principal import Principal

MAX_REMEMBERED = 100_000
MAX_UNKNOWN = 10_000
# News tell of every change, as far as the database can. Read a key again now and then all the same.
REREAD_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class KeyCredential:
    """An API key as a caller sent it: its digest, computed once, and the environment that its text names."""

    environment: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _CachedKey:
    id: int
    principal: Principal
    fault: AuthenticationFault | None
    expires_at: datetime | None
    until: float  # so long it is believed without any news
    at_most: float  # so long it is believed with news


class ApiKeyVerifier:
    """Verifies API keys, each by what the database said `cache_seconds` ago at most.

    It said so when the key was looked up, or by the news since: `heard` tells which keys have changed, and thereby
    that all the others are as they were. `find` looks up a digest; what it raises is passed on. `environments` are
    those this deployment takes. `seen` is called with the id of each accepted key. `clock` is monotonic, in
    seconds. `max_known` and `max_unknown` bound what is remembered.
    """

    def __init__(
        self,
        find: Callable[[bytes], Awaitable[KeyRecord | None]],
        *,
        environments: Iterable[str],
        cache_seconds: float,
        seen: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        max_known: int = MAX_REMEMBERED,
        max_unknown: int = MAX_UNKNOWN,
    ) -> None:
        self._find = find
        self._environments = frozenset(environments)
        self._cache_seconds = cache_seconds
        self._seen = seen
        self._clock = clock
        self._now = now
        self._max_known, self._max_unknown = (max_known, max_unknown) if cache_seconds > 0 else (0, 0)
        # Both by digest, the oldest first. Apart, so that a flood of made-up keys cannot push out real ones.
        self._known: dict[bytes, _CachedKey] = {}
        self._unknown: dict[bytes, float] = {}
        self._digests: dict[int, bytes] = {}
        self._news_until = float("-inf")
        self._last_change = object()  # another one after each
        self.hits = 0  # keys, known or not, that needed no look-up

    async def verify(self, token: str) -> Principal:
        """The principal of a key. Raises Unauthenticated with its fault, and whatever `find` raises."""
        credential = self.parse(token)
        return self.cached(credential) or await self.look_up(credential)

    def parse(self, token: str) -> KeyCredential:
        """The credential in the text of a key. Raises Unauthenticated for another shape and another environment."""
        shape = SHAPE.fullmatch(token)
        if shape is None:
            raise Unauthenticated(AuthenticationFault.KEY_MALFORMED)
        environment = shape[1]
        if environment not in self._environments:
            raise Unauthenticated(AuthenticationFault.KEY_UNKNOWN)
        return KeyCredential(environment, digest(token))

    def cached(self, credential: KeyCredential) -> Principal | None:
        """The principal of a key in the cache; None where the database has to be asked. Raises Unauthenticated."""
        known = self._known.get(credential.digest)
        if known is None or not (
            (now := self._clock()) < known.until or (now < self._news_until and now < known.at_most)
        ):
            return None
        self.hits += 1
        return self._accepted(known)

    async def look_up(self, credential: KeyCredential) -> Principal:
        """The principal of a key that `cached` does not have. Raises as `verify` does."""
        return self._accepted(await self._record_of(credential.digest, credential.environment))

    def _accepted(self, known: _CachedKey) -> Principal:
        if known.fault is not None:
            raise Unauthenticated(known.fault)
        if known.expires_at is not None and known.expires_at <= self._now():
            raise Unauthenticated(AuthenticationFault.KEY_EXPIRED)
        self._seen(known.id)
        return known.principal

    @property
    def remembers(self) -> int:
        """How many keys are remembered, those that the database knows."""
        return len(self._known)

    def heard(self, changed: Iterable[int], asked_at: float) -> None:
        """These keys, by id, have changed since the last news or the start, and no others: so it was at `asked_at`.

        News without a gap in between let a key be believed for as long as they come.
        """
        for key_id in changed:
            self.forget(key_id)
        self._news_until = asked_at + self._cache_seconds

    def forget(self, key: int | bytes) -> None:
        """Ask the database again for this key, given by its id or digest: it was changed.

        A look-up that is under way may have read the key as it was, so what it finds is not remembered.
        """
        self._last_change = object()
        hashed = self._digests.get(key) if isinstance(key, int) else key
        if hashed is not None:
            self._drop(hashed)
            self._unknown.pop(hashed, None)

    def forget_all(self) -> None:
        """Ask the database again for every key: it is not known which have changed."""
        self._last_change = object()
        self._known.clear()
        self._unknown.clear()
        self._digests.clear()

    async def _record_of(self, hashed: bytes, environment: str) -> _CachedKey:
        # Counted from the question: what the answer says may be as old as that.
        asked_at = self._clock()
        if asked_at < self._unknown.get(hashed, asked_at):
            self.hits += 1
            raise Unauthenticated(AuthenticationFault.KEY_UNKNOWN)
        last_change = self._last_change
        record = await self._find(hashed)
        until = asked_at + self._cache_seconds
        unchanged = self._last_change is last_change
        if record is None:
            if unchanged and self._max_unknown:
                self._unknown.pop(hashed, None)
                while len(self._unknown) >= self._max_unknown:
                    del self._unknown[next(iter(self._unknown))]
                self._unknown[hashed] = until
            raise Unauthenticated(AuthenticationFault.KEY_UNKNOWN)
        fault = _fault(record, hashed, environment)
        at_most = asked_at + REREAD_SECONDS
        known = _CachedKey(record.id, principal_of(record), fault, record.expires_at, until, at_most)
        if unchanged and self._max_known:
            self._drop(hashed)
            while len(self._known) >= self._max_known:
                self._drop(next(iter(self._known)))
            self._known[hashed] = known
            self._digests[record.id] = hashed
        return known

    def _drop(self, hashed: bytes) -> None:
        known = self._known.pop(hashed, None)
        if known is not None:
            self._digests.pop(known.id, None)


def _fault(record: KeyRecord, hashed: bytes, environment: str) -> AuthenticationFault | None:
    """What is wrong with a key, whatever the time."""
    if not hmac.compare_digest(record.digest, hashed) or record.environment != environment:
        return AuthenticationFault.KEY_UNKNOWN
    return AuthenticationFault.KEY_REVOKED if record.revoked_at is not None else None
