"""Counts the decisions that the log does not have, although they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from app.db.tables.base import table_of
from app.db.tables.decision_drops import DecisionDrop
from app.db.tables.decision_volumes import DecisionDeletion


@dataclass(frozen=True, slots=True)
class AbsentDecisions:
    """Numbers of decisions that were lost, and that were deleted since the log was too large."""

    lost: int
    deleted: int


def within(
    recorded: ReadOnlyColumnCollection[str, Any], since: int | None, until: int | None
) -> Sequence[ColumnElement[bool]]:
    """The condition on records with a time at or after `since` and before `until`, in microseconds since 1970."""
    conditions: list[ColumnElement[bool]] = []
    if since is not None:
        conditions.append(recorded.last_at >= since)
    if until is not None:
        conditions.append(recorded.first_at < until)
    return conditions


async def count(session: AsyncSession, since: int | None, until: int | None) -> AbsentDecisions:
    """The numbers of the records `within` a time."""
    numbers = []
    for recorded in (table_of(DecisionDrop).c, table_of(DecisionDeletion).c):
        total = select(func.sum(recorded["count"])).where(*within(recorded, since, until))
        numbers.append(int(await session.scalar(total) or 0))
    return AbsentDecisions(*numbers)
