"""The cursors of the SIEM export: leases, positions, failures, and records that were deleted before their delivery."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, and_, case, delete, func, or_, select, text, update
from sqlalchemy.engine import CursorResult, Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.database_clock import database_now
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.siem import SiemCursor

LEASE_SECONDS = 5.0  # renewed while it is used, so that another process soon goes on after a crash
MAX_RETRY_SECONDS = 3_600.0
_SECOND = 1_000_000  # microseconds
_LEASE, _MAX_RETRY = (int(seconds * _SECOND) for seconds in (LEASE_SECONDS, MAX_RETRY_SECONDS))
_cursors = table_of(SiemCursor)


class Gap(NamedTuple):
    """At most so many records that were deleted before their delivery, with ids up to `last_id`.

    Times are in microseconds since 1970.
    """

    records: int
    last_id: int
    first_at: int
    last_at: int


class LeaseLost(Exception):
    """Another process delivers to the destination now: this one was paused for too long."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A row of the table, see there for the fields."""

    destination: str
    log: str
    position: int = 0
    delivered: int = 0
    delivered_at: int | None = None
    refused: int = 0
    refused_at: int | None = None
    missed: int = 0
    gap_count: int = 0
    gap_last_id: int = 0
    gap_first_at: int | None = None
    gap_last_at: int | None = None
    failures: int = 0
    failed_since: int | None = None
    retry_at: int = 0
    error: str = ""
    holder: str | None = None
    leased_until: int = 0

    @property
    def gap(self) -> Gap | None:
        """The deleted records that are not reported yet."""
        if not self.gap_count or self.gap_first_at is None or self.gap_last_at is None:
            return None
        return Gap(self.gap_count, self.gap_last_id, self.gap_first_at, self.gap_last_at)


_CREATE = text(
    "INSERT INTO siem_cursors (destination, log) VALUES (:destination, :log) ON CONFLICT (destination, log) DO NOTHING"
)
_COLUMNS = tuple(_cursors.c[field.name] for field in fields(Cursor))


class SiemCursors:
    """The cursors, as one process uses them. Each method is one transaction, and raises the errors of SQLAlchemy."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._holder = secrets.token_hex(16)

    async def read(self, destination: str, log: str) -> tuple[Cursor, int]:
        """The cursor of a destination in a log, and the time; one that does not exist is at the beginning."""
        async with self._sessions() as session:
            row = (await session.execute(select(*_COLUMNS).where(_is(destination, log)))).one_or_none()
            now = await _now(session)
        return (Cursor(destination, log) if row is None else _cursor(row)), now

    async def read_all(self) -> tuple[Mapping[tuple[str, str], Cursor], int]:
        """The cursors that exist, by destination and log, and the time."""
        async with self._sessions() as session:
            cursors = await all_cursors(session)
            return {(cursor.destination, cursor.log): cursor for cursor in cursors}, await _now(session)

    def may_claim(self, cursor: Cursor, now: int) -> bool:
        """Whether `claim` would succeed."""
        is_free = cursor.holder in (None, self._holder) or not now < cursor.leased_until <= now + 2 * _LEASE
        return is_free and not now < cursor.retry_at <= now + 2 * _MAX_RETRY

    async def claim(self, destination: str, log: str) -> Cursor | None:
        """Take the lease; None while another process has it, or until the time for a retry has come."""
        async with self._sessions() as session:
            await session.connection(execution_options=LOCK_FIRST)
            now = await _now(session)
            await session.execute(_CREATE, {"destination": destination, "log": log})
            lease, retry = _cursors.c.leased_until, _cursors.c.retry_at
            is_own = or_(_cursors.c.holder.is_(None), _cursors.c.holder == self._holder)
            # A time that no process can have set, since the clock was set back, does not count.
            is_free = or_(is_own, lease <= now, lease > now + 2 * _LEASE)
            is_due = or_(retry <= now, retry > now + 2 * _MAX_RETRY)
            return await self._update(session, and_(_is(destination, log), is_free, is_due), now, {})

    async def renew(self, cursor: Cursor) -> Cursor:
        """Extend the lease. Raises LeaseLost."""
        async with self._sessions() as session:
            return _kept(await self._update(session, self._is_held(cursor), await _now(session), {}))

    async def advance(
        self, cursor: Cursor, position: int, *, delivered: int = 0, refused: int = 0, gap: Gap | None = None
    ) -> Cursor:
        """Note that the destination has everything up to `position`, and knows of a gap. Raises LeaseLost."""
        async with self._sessions() as session:
            now = await _now(session)
            values: dict[str, Any] = {
                "position": position,
                "delivered": _cursors.c.delivered + delivered,
                "failures": 0,
                "failed_since": None,
                "retry_at": 0,
                "error": "",
            }
            if delivered:
                values["delivered_at"] = now
            if refused:
                values |= {"refused": _cursors.c.refused + refused, "refused_at": now}
            if gap is not None:
                # Retention may have added to the gap since it was read.
                is_all = _cursors.c.gap_count == gap.records
                values["gap_count"] = _cursors.c.gap_count - gap.records
                values["gap_first_at"] = case((is_all, None), else_=_cursors.c.gap_first_at)
            return _kept(await self._update(session, self._is_held(cursor), now, values))

    async def fail(self, cursor: Cursor, error: str, retry_seconds: float) -> None:
        """Note a failure, and release the lease; no process tries again before `retry_seconds` have passed."""
        async with self._sessions() as session:
            now = await _now(session)
            values = {
                "failures": _cursors.c.failures + 1,
                "failed_since": func.coalesce(_cursors.c.failed_since, now),
                "retry_at": now + int(retry_seconds * _SECOND),
                "error": error,
                "holder": None,
            }
            await session.execute(update(_cursors).where(self._is_held(cursor)).values(values))
            await session.commit()

    async def release_all(self) -> None:
        """Release the leases of this process."""
        async with self._sessions() as session:
            own = _cursors.c.holder == self._holder
            await session.execute(update(_cursors).where(own).values({"holder": None}))
            await session.commit()

    def _is_held(self, cursor: Cursor) -> ColumnElement[bool]:
        return and_(
            _is(cursor.destination, cursor.log),
            _cursors.c.holder == self._holder,
            _cursors.c.position == cursor.position,
        )

    async def _update(
        self, session: AsyncSession, condition: ColumnElement[bool], now: int, values: Mapping[str, Any]
    ) -> Cursor | None:
        lease = {"holder": self._holder, "leased_until": now + _LEASE}
        statement = update(_cursors).where(condition).values({**lease, **values}).returning(*_COLUMNS)
        found = (await session.execute(statement)).one_or_none()
        await session.commit()
        return None if found is None else _cursor(found)


async def all_cursors(session: AsyncSession) -> Sequence[Cursor]:
    """All cursors, ordered by destination and log."""
    query = select(*_COLUMNS).order_by(_cursors.c.destination, _cursors.c.log)
    return [_cursor(row) for row in await session.execute(query)]


async def delete_cursors(session: AsyncSession, destination: str) -> int:
    """Delete the cursors of a destination, and return how many there were; the caller commits."""
    deleted = await session.execute(delete(_cursors).where(_cursors.c.destination == destination))
    return cast(CursorResult[Any], deleted).rowcount


def _is(destination: str, log: str) -> ColumnElement[bool]:
    return and_(_cursors.c.destination == destination, _cursors.c.log == log)


def _kept(cursor: Cursor | None) -> Cursor:
    if cursor is None:
        raise LeaseLost
    return cursor


def _cursor(row: Row[Any]) -> Cursor:
    return Cursor(**row._mapping)


async def _now(session: AsyncSession) -> int:
    return int((await database_now(session)).timestamp() * _SECOND)
