"""Reads decisions from the database: a page newest first, those after an id, or all.

The decisions of the previous release are in a table of their own, and are moved from it. It is read first, so that a
decision that is moved between both reads is found twice and not missed.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.db import decision_search, former_decisions
from app.db.log_records import LoggedRecord, LogPosition, merged
from app.db.session import Sessions

__all__ = ["DecisionRows", "LogPosition", "LoggedRecord", "everything", "following", "newest_id", "page"]

EXPORT_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class DecisionRows:
    """Decisions, newest first, and whether there are newer and older ones."""

    rows: Sequence[LoggedRecord]
    more_newer: bool
    more_older: bool


async def page(
    session: AsyncSession,
    filters: DecisionFilter,
    *,
    size: int,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> DecisionRows:
    """At most `size` decisions: the newest, or those next to a position."""
    if newer_than is not None:
        rows = await _fetch(session, filters, size + 1, newer_than=newer_than)
        more = len(rows) > size
        del rows[size:]
        rows.reverse()
        edge = rows[-1].position if rows else LogPosition(newer_than.at, newer_than.id + 1)
        return DecisionRows(rows, more_newer=more, more_older=bool(await _fetch(session, filters, 1, older_than=edge)))
    rows = await _fetch(session, filters, size + 1, older_than=older_than)
    more = len(rows) > size
    del rows[size:]
    if older_than is None:
        return DecisionRows(rows, more_newer=False, more_older=more)
    edge = rows[0].position if rows else LogPosition(older_than.at, older_than.id - 1)
    return DecisionRows(rows, more_newer=bool(await _fetch(session, filters, 1, newer_than=edge)), more_older=more)


async def following(
    session: AsyncSession, filters: DecisionFilter, *, after: int, size: int = 500
) -> tuple[Sequence[LoggedRecord], int]:
    """The decisions stored after the id `after`, in that order, and the id to continue after."""
    newest = await newest_id(session)
    rows = await stored_after(session, filters, after, size)
    if len(rows) == size:
        return rows, rows[-1].id
    # So that rows that do not match are not read again.
    return rows, max(after, newest, *(row.id for row in rows[-1:]))


async def stored_after(session: AsyncSession, filters: DecisionFilter, after: int, size: int) -> Sequence[LoggedRecord]:
    """The first decisions that match and were stored after the id `after`, in that order."""
    rows = merged(
        await former_decisions.following(session, filters, after, size),
        await decision_search.following(session, filters, after, size),
    )
    return sorted(rows, key=lambda row: row.id)[:size]


async def newest_id(session: AsyncSession) -> int:
    """The id of the decision that was stored last; 0 if there is none."""
    return max(await former_decisions.newest_id(session), await decision_search.newest_id(session))


async def everything(sessions: Sessions, filters: DecisionFilter) -> AsyncGenerator[Sequence[LoggedRecord]]:
    """All decisions until now, oldest first, a page at a time.

    Each page has its own session, since a long read would hold up the database.
    """
    if filters.until is None:
        filters = replace(filters, until=time.time_ns() // 1000)
    position = LogPosition(-(2**63), 0)
    while True:
        async with sessions() as session:
            rows = await _fetch(session, filters, EXPORT_PAGE, newer_than=position)
        if rows:
            yield rows
        if len(rows) < EXPORT_PAGE:
            return
        position = rows[-1].position


async def _fetch(
    session: AsyncSession,
    filters: DecisionFilter,
    size: int,
    *,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> list[LoggedRecord]:
    """Decisions from newest to oldest, or with `newer_than` from oldest to newest."""
    rows = merged(
        await former_decisions.fetch(session, filters, size, older_than=older_than, newer_than=newer_than),
        await decision_search.search(session, filters, size, older_than=older_than, newer_than=newer_than),
    )
    return sorted(rows, key=lambda row: row.position, reverse=newer_than is None)[:size]
