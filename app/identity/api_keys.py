"""API keys: minted once, kept as a digest."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.identity.principal import Principal, program

ENVIRONMENTS = ("live", "test")
SHAPE = re.compile(r"grd_(live|test)_[0-9a-f]{48}")
_SECRET_BYTES = 24
_PREFIX_DIGITS = 8


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A key that was just minted. `plaintext` is shown once to its owner and kept nowhere."""

    plaintext: str = field(repr=False)
    environment: str
    prefix: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key at rest; `subject` is the `sub` of its owner, times have a time zone.

    `token_grants` are the grants that its owner's token stated when it was issued, as far as they matter to its scopes;
    None for a key that was issued before they were recorded.
    """

    id: int
    subject: str
    environment: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)
    expires_at: datetime | None
    revoked_at: datetime | None
    token_grants: frozenset[str] | None = None

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


def mint(environment: str) -> MintedKey:
    """A new key with 192 random bits. Raises ValueError for an environment that no key can have."""
    if environment not in ENVIRONMENTS:
        raise ValueError(f"a key is for one of {', '.join(ENVIRONMENTS)}, not for {environment!r}")
    secret = secrets.token_hex(_SECRET_BYTES)
    start = f"grd_{environment}_"
    plaintext = start + secret
    return MintedKey(plaintext, environment, start + secret[:_PREFIX_DIGITS], digest(plaintext))


def digest(token: str) -> bytes:
    """The SHA-256 of a whole token, in 32 bytes: 192 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def principal_of(record: KeyRecord) -> Principal:
    """Who calls with this key."""
    return program(
        record.subject,
        record.id,
        record.environment,
        record.scopes,
        expires_at=record.expires_at,
        token_grants=record.token_grants,
    )
