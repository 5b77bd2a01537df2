"""The status of an API key at a time, for API, console and command line, in Python and in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col

from app.db.tables.keys import ApiKey

KeyStatus = Literal["active", "expiring", "superseded", "expired", "revoked"]
SOON = timedelta(days=7)  # before its end a key is `expiring`
# In display order, with their labels.
WORDS: Mapping[KeyStatus, str] = {
    "active": "active",
    "expiring": "expires soon",
    "superseded": "rotated",
    "expired": "expired",
    "revoked": "revoked",
}
STATUSES: tuple[KeyStatus, ...] = tuple(WORDS)
ACCEPTED: tuple[KeyStatus, ...] = ("active", "expiring", "superseded")


class EndingKey(Protocol):
    """What the status of a key depends on."""

    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def revoked_at(self) -> datetime | None: ...
    @property
    def successor_id(self) -> int | None: ...


def status_of(key: EndingKey, now: datetime) -> KeyStatus:
    """The status of a key. `expiring` and `superseded` keys, which have a successor, are accepted until they expire."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    if key.successor_id is not None:
        return "superseded"
    return "expiring" if key.expires_at is not None and key.expires_at <= now + SOON else "active"


def is_accepted(key: EndingKey, now: datetime) -> bool:
    """Whether a key is neither revoked nor expired."""
    return status_of(key, now) in ACCEPTED


def has_status(status: KeyStatus, now: datetime) -> ColumnElement[bool]:
    """The SQL condition for the keys for which `status_of` returns this status."""
    expires, revoked, successor = col(ApiKey.expires_at), col(ApiKey.revoked_at), col(ApiKey.successor_id)
    if status == "revoked":
        return revoked.is_not(None)
    if status == "expired":
        return and_(revoked.is_(None), expires <= now)
    if status == "superseded":
        return and_(accepted(now), successor.is_not(None))
    is_soon = expires <= now + SOON
    if status == "expiring":
        return and_(accepted(now), successor.is_(None), is_soon)
    return and_(revoked.is_(None), successor.is_(None), or_(expires.is_(None), expires > now + SOON))


def accepted(now: datetime) -> ColumnElement[bool]:
    """The SQL condition for the keys for which `is_accepted` is true."""
    expires = col(ApiKey.expires_at)
    return and_(col(ApiKey.revoked_at).is_(None), or_(expires.is_(None), expires > now))
