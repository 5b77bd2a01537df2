"""Counts the decisions that the log does not have, although they were made."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables.base import table_of
from app.db.tables.decision_drops import DecisionDrop
from app.db.tables.decision_volumes import DecisionDeletion


@dataclass(frozen=True, slots=True)
class AbsentDecisions:
    """Numbers of decisions that were lost, and that were deleted since the log was too large."""

    lost: int
    deleted: int


async def count(session: AsyncSession, since: int | None, until: int | None) -> AbsentDecisions:
    """Those of records with a time at or after `since` and before `until`, in microseconds since 1970."""
    numbers = []
    for recorded in (table_of(DecisionDrop).c, table_of(DecisionDeletion).c):
        within: list[ColumnElement[bool]] = []
        if since is not None:
            within.append(recorded.last_at >= since)
        if until is not None:
            within.append(recorded.first_at < until)
        numbers.append(int(await session.scalar(select(func.sum(recorded["count"])).where(*within)) or 0))
    return AbsentDecisions(*numbers)
