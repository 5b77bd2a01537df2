"""The JSON documents of `authz keys`."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from app.db.tables.keys import ApiKey
from app.keys.beyond_owners import KeyBeyondOwner
from app.keys.status import KeyStatus, status_of


class ListedKey(Struct, frozen=True):
    """A key of any owner. A key itself is never shown: only its prefix is known.

    `subject` is `org:<id>` for the key of an `organization`, which the user `created_by` issued.
    """

    id: int
    subject: str
    name: str
    environment: str
    key_prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    state: KeyStatus
    organization: str | None
    created_by: str | None


class KeysBeyondOwners(Struct, frozen=True):
    """The active keys with scopes that their owner does not hold now."""

    revision: str
    keys: list[KeyBeyondOwner]


def listed_key(row: ApiKey, now: datetime) -> ListedKey:
    """View a key as it is at this time."""
    return ListedKey(
        id=row.id,
        subject=row.subject,
        name=row.name,
        environment=row.environment,
        key_prefix=row.key_prefix,
        scopes=list(row.scopes),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        state=status_of(row, now),
        organization=row.organization,
        created_by=row.created_by,
    )
