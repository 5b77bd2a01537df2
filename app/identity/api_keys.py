"""API keys: minted once, kept as a digest, verified against what the database remembers of them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.identity.errors import Fault, Unauthenticated
from app.identity.principal import Principal, program

_SHAPE = re.compile(r"grd_(live|test)_[0-9a-f]{48}")
_SECRET_BYTES = 24
_PREFIX_DIGITS = 8
MAX_REMEMBERED = 100_000
MAX_UNKNOWN = 10_000


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just minted. `plaintext` is shown once to its owner and kept nowhere."""

    plaintext: str
    environment: str
    prefix: str
    digest: bytes

    def __repr__(self) -> str:
        return f"NewKey({self.prefix}…)"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key at rest; `subject` is the `sub` of its owner."""

    id: int
    subject: str
    environment: str
    scopes: frozenset[str]
    digest: bytes
    expires_at: datetime | None
    revoked_at: datetime | None


def mint(environment: str) -> NewKey:
    """A new key with 192 random bits."""
    secret = secrets.token_hex(_SECRET_BYTES)
    plaintext = f"grd_{environment}_{secret}"
    return NewKey(plaintext, environment, plaintext[: -len(secret) + _PREFIX_DIGITS], digest(plaintext))


def digest(token: str) -> bytes:
    """The SHA-256 of a whole token, in 32 bytes: 192 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class _Remembered:
    record: KeyRecord | None
    principal: Principal | None
    until: float


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
    ) -> None:
        self._find = find
        self._environments = frozenset(environments)
        self._cache_seconds = cache_seconds
        self._seen = seen
        self._clock = clock
        self._now = now
        self._known: dict[bytes, _Remembered] = {}
        # Apart, so that a flood of made-up keys cannot push out real ones.
        self._unknown: dict[bytes, _Remembered] = {}
        self._digests: dict[int, bytes] = {}
        self._forgotten = 0

    async def verify(self, token: str) -> Principal:
        """The principal of a key. Raises Unauthenticated with the fault of the contract."""
        shape = _SHAPE.fullmatch(token)
        if shape is None:
            raise Unauthenticated(Fault.KEY_MALFORMED)
        if shape[1] not in self._environments:
            raise Unauthenticated(Fault.KEY_UNKNOWN)
        hashed = digest(token)
        remembered = self._known.get(hashed) or self._unknown.get(hashed)
        if remembered is None or self._clock() >= remembered.until:
            remembered = await self._look_up(hashed)
        record, principal = remembered.record, remembered.principal
        if record is None or principal is None or not hmac.compare_digest(record.digest, hashed):
            raise Unauthenticated(Fault.KEY_UNKNOWN)
        if record.revoked_at is not None:
            raise Unauthenticated(Fault.KEY_REVOKED)
        if record.expires_at is not None and record.expires_at <= self._now():
            raise Unauthenticated(Fault.KEY_EXPIRED)
        self._seen(record.id)
        return principal

    def forget(self, key_id: int) -> None:
        """Ask the database again for this key, also where a look-up is under way: it was revoked here."""
        self._forgotten += 1
        if (hashed := self._digests.pop(key_id, None)) is not None:
            self._known.pop(hashed, None)

    async def _look_up(self, hashed: bytes) -> _Remembered:
        forgotten = self._forgotten
        asked_at = self._clock()
        record = await self._find(hashed)
        # Counted from the question: what the answer says may be as old as that.
        until = asked_at + self._cache_seconds
        if record is None:
            remembered = _Remembered(None, None, until)
            _put(self._unknown, hashed, remembered, MAX_UNKNOWN)
            return remembered
        principal = program(record.subject, record.id, record.environment, record.scopes)
        remembered = _Remembered(record, principal, until)
        if self._forgotten == forgotten:
            if len(self._known) >= MAX_REMEMBERED:
                self._digests.clear()
            _put(self._known, hashed, remembered, MAX_REMEMBERED)
            self._digests[record.id] = hashed
        return remembered


def _put(cache: dict[bytes, _Remembered], hashed: bytes, remembered: _Remembered, most: int) -> None:
    if len(cache) >= most and hashed not in cache:
        cache.clear()
    cache[hashed] = remembered
