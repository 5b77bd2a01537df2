"""API keys: minted once, kept as a digest, verified against what the database remembers of them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.identity.errors import Fault, Unauthenticated
from app.identity.principal import Principal, program

ENVIRONMENTS = ("live", "test")
MAX_REMEMBERED = 100_000
MAX_UNKNOWN = 10_000
_SHAPE = re.compile(r"grd_(live|test)_[0-9a-f]{48}")
_SECRET_BYTES = 24
_PREFIX_DIGITS = 8


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just minted. `plaintext` is shown once to its owner and kept nowhere."""

    plaintext: str = field(repr=False)
    environment: str
    prefix: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key at rest; `subject` is the `sub` of its owner, times have a time zone."""

    id: int
    subject: str
    environment: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)
    expires_at: datetime | None
    revoked_at: datetime | None

    def __post_init__(self) -> None:
        # One without a zone would expire by the clock of whichever machine compares it.
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError(f"API key {self.id}: expires_at has no time zone")


def refused_because(record: KeyRecord, environments: Collection[str], now: datetime) -> str:
    """Why a key is not accepted now; empty when it is."""
    if record.revoked_at is not None:
        return f"it was revoked at {_utc(record.revoked_at)}"
    if record.expires_at is not None and record.expires_at <= now:
        return f"it expired at {_utc(record.expires_at)}"
    if record.environment not in environments:
        return f"{record.environment} keys are not taken here"
    return ""


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def mint(environment: str) -> NewKey:
    """A new key with 192 random bits. Raises ValueError for an environment that no key can have."""
    if environment not in ENVIRONMENTS:
        raise ValueError(f"a key is for one of {', '.join(ENVIRONMENTS)}, not for {environment!r}")
    secret = secrets.token_hex(_SECRET_BYTES)
    start = f"grd_{environment}_"
    plaintext = start + secret
    return NewKey(plaintext, environment, start + secret[:_PREFIX_DIGITS], digest(plaintext))


def digest(token: str) -> bytes:
    """The SHA-256 of a whole token, in 32 bytes: 192 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class _Known:
    record: KeyRecord
    principal: Principal
    until: float


def principal_of(record: KeyRecord) -> Principal:
    """Who calls with this key."""
    return program(record.subject, record.id, record.environment, record.scopes, record.expires_at)


class ApiKeyVerifier:
    """Verifies API keys, remembering what the database said for `cache_seconds` at most.

    `find` looks up a digest; what it raises is passed on. `environments` are those this deployment takes.
    `seen` is told the id of each key that was accepted. `clock` is monotonic, in seconds.
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
        self._max_known = max_known
        self._max_unknown = max_unknown
        # Both by digest, the oldest first. Apart, so that a flood of made-up keys cannot push out real ones.
        self._known: dict[bytes, _Known] = {}
        self._unknown: dict[bytes, float] = {}
        self._digests: dict[int, bytes] = {}
        self._forgotten = 0

    async def verify(self, token: str) -> Principal:
        """The principal of a key. Raises Unauthenticated with its fault, and whatever `find` raises."""
        shape = _SHAPE.fullmatch(token)
        if shape is None:
            raise Unauthenticated(Fault.KEY_MALFORMED)
        if shape[1] not in self._environments:
            raise Unauthenticated(Fault.KEY_UNKNOWN)
        hashed = digest(token)
        known = self._known.get(hashed)
        if known is None or self._clock() >= known.until:
            known = await self._look_up(hashed)
        record = known.record
        if not hmac.compare_digest(record.digest, hashed) or record.environment != shape[1]:
            raise Unauthenticated(Fault.KEY_UNKNOWN)
        if record.revoked_at is not None:
            raise Unauthenticated(Fault.KEY_REVOKED)
        if record.expires_at is not None and record.expires_at <= self._now():
            raise Unauthenticated(Fault.KEY_EXPIRED)
        self._seen(record.id)
        return known.principal

    def forget(self, key: int | bytes) -> None:
        """Ask the database again for this key, given by its id or digest: it was changed here.

        A look-up that is under way may have read the key as it was, so what it finds is not remembered.
        """
        self._forgotten += 1
        hashed = self._digests.get(key) if isinstance(key, int) else key
        if hashed is not None:
            self._drop(hashed)
            self._unknown.pop(hashed, None)

    async def _look_up(self, hashed: bytes) -> _Known:
        # Counted from the question: what the answer says may be as old as that.
        asked_at = self._clock()
        if asked_at < self._unknown.get(hashed, asked_at):
            raise Unauthenticated(Fault.KEY_UNKNOWN)
        forgotten = self._forgotten
        record = await self._find(hashed)
        until = asked_at + self._cache_seconds
        rememberable = self._cache_seconds > 0 and self._forgotten == forgotten
        if record is None:
            if rememberable:
                self._unknown.pop(hashed, None)
                while len(self._unknown) >= self._max_unknown:
                    del self._unknown[next(iter(self._unknown))]
                self._unknown[hashed] = until
            raise Unauthenticated(Fault.KEY_UNKNOWN)
        known = _Known(record, principal_of(record), until)
        if rememberable:
            self._drop(hashed)
            while len(self._known) >= self._max_known:
                self._drop(next(iter(self._known)))
            self._known[hashed] = known
            self._digests[record.id] = hashed
        return known

    def _drop(self, hashed: bytes) -> None:
        known = self._known.pop(hashed, None)
        if known is not None:
            self._digests.pop(known.record.id, None)
