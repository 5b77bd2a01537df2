"""The views of API keys that the API, the console and commands share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple

from app.db.tables.keys import ApiKey
from app.keys.status import is_accepted


class ViewedKey(NamedTuple):
    """The columns of a key that its views show, which take a third of the time of an ApiKey to read."""

    id: int
    name: str
    environment: str
    key_prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    successor_id: int | None
    organization: str | None
    created_by: str | None


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as its owner sees it: never its plaintext."""

    id: int
    name: str
    environment: str
    key_prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class OrganizationKeyView(KeyView):
    """A key of an organization as its members see it, with the person who issued it: never its plaintext."""

    organization: str
    created_by: str


@dataclass(frozen=True, slots=True)
class RevokedKeys:
    """The number of keys of an owner that were revoked now; 0 if all were revoked before."""

    owner: str
    revoked: int


def view_of(row: ApiKey | ViewedKey, now: datetime) -> KeyView:
    """View a key as it is at this time."""
    return KeyView(
        id=row.id,
        name=row.name,
        environment=row.environment,
        key_prefix=row.key_prefix,
        scopes=list(row.scopes),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        is_active=is_accepted(row, now),
    )


def organization_view_of(row: ApiKey | ViewedKey, now: datetime) -> OrganizationKeyView:
    """View a key of an organization as it is at this time."""
    return OrganizationKeyView(
        **asdict(view_of(row, now)), organization=row.organization or "", created_by=row.created_by or ""
    )
