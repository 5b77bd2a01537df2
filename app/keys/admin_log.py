"""Records changes of API keys in the admin log, each in its own transaction. A key is identified by its prefix."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import Actor
from app.db import admin_actions
from app.db.tables.keys import ApiKey


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """A key that was revoked."""

    id: int
    prefix: str
    owner: str


def record_issue(session: AsyncSession, by: Actor, key: ApiKey, now: datetime) -> None:
    """Record that a key was issued; it has its id already."""
    admin_actions.record(
        session,
        by,
        "key.issue",
        f"key:{key.id}",
        now=now,
        message=f"{key.key_prefix} of {key.subject}",
        details={
            "key_prefix": key.key_prefix,
            "name": key.name,
            "owner": key.subject,
            "scopes": list(key.scopes),
            "expires_at": _text_of(key.expires_at),
        },
    )


def record_rotation(
    session: AsyncSession, by: Actor, old: ApiKey, successor: ApiKey, now: datetime, *, grace_seconds: int
) -> None:
    """Record that a key was rotated, and for how long both keys are accepted."""
    admin_actions.record(
        session,
        by,
        "key.rotate",
        f"key:{old.id}",
        now=now,
        message=f"{old.key_prefix} of {old.subject}, succeeded by key:{successor.id}",
        details={
            "key_prefix": old.key_prefix,
            "owner": old.subject,
            "successor": f"key:{successor.id}",
            "successor_prefix": successor.key_prefix,
            "grace_seconds": grace_seconds,
            "scopes": list(successor.scopes),
            "expires_at": _text_of(successor.expires_at),
        },
    )


def record_revocation(
    session: AsyncSession, by: Actor, key: RevokedKey, now: datetime, *, all_of_owner: bool = False
) -> None:
    """Record that a key was revoked; `all_of_owner` if one request revoked all keys of its owner."""
    admin_actions.record(
        session,
        by,
        "key.revoke",
        f"key:{key.id}",
        now=now,
        message=f"{key.prefix} of {key.owner}",
        details={"key_prefix": key.prefix, "owner": key.owner, "all_of_owner": all_of_owner},
    )


def _text_of(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
