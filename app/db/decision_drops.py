"""Stores and reads what the decision log lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.decision_class import DecisionClass
from app.audit.drops import DropWindow
from app.audit.log import BatchNotStored
from app.db.absent_decisions import within
from app.db.decision_writer import without_values
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decision_drops import DecisionDrop

# A window that goes on gets a new id, so that a reader of those after an id finds it again.
_REPLACE = text("DELETE FROM decision_drops WHERE window_id = :window_id")
_STORE = text(
    "INSERT INTO decision_drops (window_id, decision_class, first_at, last_at, count) "
    "VALUES (:window_id, :decision_class, :first_at, :last_at, :count)"
)


class DropStore:
    """Stores the losses of this process while the disk has room."""

    def __init__(self, sessions: Sessions, disk: DiskSpace | None = None) -> None:
        self._sessions = sessions
        self._disk = disk

    async def write(self, windows: Sequence[DropWindow]) -> None:
        """Store windows, or replace them by their ids. Raises BatchNotStored."""
        if self._disk is not None and self._disk.shortage:
            raise BatchNotStored(self._disk.shortage)
        rows = [
            {
                "window_id": window.id,
                "decision_class": window.decision_class,
                "first_at": window.first_at,
                "last_at": window.last_at,
                "count": window.count,
            }
            for window in windows
        ]
        with without_values():
            async with self._sessions() as session:
                await session.connection(execution_options=LOCK_FIRST)
                await session.execute(_REPLACE, rows)
                await session.execute(_STORE, rows)
                await session.commit()


async def between(session: AsyncSession, since: int | None, until: int | None) -> Sequence[DropWindow]:
    """The losses at or after `since` and before `until`, in microseconds since 1970, in the order of their times."""
    query = select(DecisionDrop).where(*within(table_of(DecisionDrop).c, since, until))
    ordered = query.order_by(col(DecisionDrop.first_at), col(DecisionDrop.id))
    return [_window(row) for row in await session.scalars(ordered)]


async def following(session: AsyncSession, after: int, limit: int) -> Sequence[tuple[int, DropWindow]]:
    """The first losses with an id above `after`, each with its id."""
    query = select(DecisionDrop).where(col(DecisionDrop.id) > after).order_by(col(DecisionDrop.id)).limit(limit)
    return [(row.id, _window(row)) for row in await session.scalars(query)]


def _window(row: DecisionDrop) -> DropWindow:
    return DropWindow(cast("DecisionClass", row.decision_class), row.first_at, row.last_at, row.count, row.window_id)
