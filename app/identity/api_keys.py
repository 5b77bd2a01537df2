"""API keys: minting one, and what is stored of it: a digest, never the text."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.identity.principal import Principal, key_principal, organization_key_principal
from app.identity.token_format import DEFAULT_PREFIX, DIGITS, ENVIRONMENTS, PUBLIC_DIGITS, current


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key. `plaintext` is shown to its owner once and never stored."""

    plaintext: str = field(repr=False)
    environment: str
    prefix: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A stored key. `subject` is the `sub` of its owner, `org:<id>` for an organization; times have a time zone.

    `token_grants` are the grants in the owner's token when the key was issued, those that its scopes depend on; None
    for a key that was issued before they were recorded. Of the key of an `organization` they are
    `membership_grants`: see `organization_key_principal`. `prefix` is what the key begins with, such as `grd`.
    """

    id: int
    subject: str
    environment: str
    scopes: frozenset[str]
    digest: bytes = field(repr=False)
    expires_at: datetime | None
    revoked_at: datetime | None
    token_grants: frozenset[str] | None = None
    organization: str | None = None
    membership_grants: frozenset[str] = frozenset()
    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        # Without a zone, the key would expire by the local time of the machine that compares it.
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise ValueError(f"API key {self.id}: expires_at has no time zone")


def refusal_reason(record: KeyRecord, environments: Collection[str], now: datetime) -> str:
    """Why a key is not accepted now; empty if it is accepted."""
    if record.revoked_at is not None:
        return f"it was revoked at {_utc(record.revoked_at)}"
    if record.expires_at is not None and record.expires_at <= now:
        return f"it expired at {_utc(record.expires_at)}"
    if record.environment not in environments:
        return f"{record.environment} keys are not accepted here"
    if record.prefix not in current().prefixes:
        return f"keys that begin with {record.prefix}_ are not accepted here"
    return ""


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def mint(environment: str) -> MintedKey:
    """A new key with 192 random bits. Raises ValueError for an environment that no key can have."""
    if environment not in ENVIRONMENTS:
        raise ValueError(f"the environment of a key is one of {', '.join(ENVIRONMENTS)}, not {environment!r}")
    secret = secrets.token_hex(DIGITS // 2)
    start = current().key_start(environment)
    plaintext = start + secret
    return MintedKey(plaintext, environment, start + secret[:PUBLIC_DIGITS], digest(plaintext))


def digest(token: str) -> bytes:
    """The SHA-256 of the complete token, 32 bytes: a secret of 192 random bits needs no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def principal_of(record: KeyRecord) -> Principal:
    """The principal of a request with this key."""
    if record.organization is not None:
        return organization_key_principal(
            record.organization,
            record.id,
            record.environment,
            record.scopes,
            record.membership_grants,
            expires_at=record.expires_at,
        )
    return key_principal(
        record.subject,
        record.id,
        record.environment,
        record.scopes,
        expires_at=record.expires_at,
        token_grants=record.token_grants,
    )
