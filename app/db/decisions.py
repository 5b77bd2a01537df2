"""Reads decisions from the database: a page newest first, those since a place, or all."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, exists, func, null, select, true, tuple_
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.record import Record, StatedGrants
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet as GrantSetRow
from app.db.tables.decisions import LoggedDecision

EXPORT_PAGE = 1_000
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)


class LogPosition(NamedTuple):
    """A place in the log, at a decision: its time in microseconds since 1970, and its id."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class Logged:
    """A decision with its id in the log."""

    id: int
    record: Record

    @property
    def mark(self) -> LogPosition:
        """The place of the decision in the log."""
        return LogPosition(self.record.at, self.id)


@dataclass(frozen=True, slots=True)
class DecisionRows:
    """Decisions, newest first, and whether there are more on either side."""

    rows: Sequence[Logged]
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
    """At most `size` decisions: the newest, or those next to a place."""
    if newer_than is not None:
        rows = await _fetch(session, filters, size + 1, newer_than=newer_than)
        more = len(rows) > size
        del rows[size:]
        rows.reverse()
        edge = rows[-1].mark if rows else LogPosition(newer_than.at, newer_than.id + 1)
        return DecisionRows(rows, more_newer=more, more_older=await _any(session, _older(filters, edge)))
    rows = await _fetch(session, filters, size + 1, older_than=older_than)
    more = len(rows) > size
    del rows[size:]
    if older_than is None:
        return DecisionRows(rows, more_newer=False, more_older=more)
    edge = rows[0].mark if rows else LogPosition(older_than.at, older_than.id - 1)
    return DecisionRows(rows, more_newer=await _any(session, _newer(filters, edge)), more_older=more)


async def following(
    session: AsyncSession, filters: DecisionFilter, *, after: int, size: int = 500
) -> tuple[Sequence[Logged], int]:
    """The decisions stored after the id `after`, in that order, and the id to continue after."""
    newest = await newest_id(session)
    # Few have such an id, whatever else is filters of them.
    query = _query(_matching(filters, indexed=0)).where(_decisions.c.id > after)
    query = query.order_by(_decisions.c.id).limit(size)
    rows = [_logged(row) for row in await session.execute(query)]
    if len(rows) == size:
        return rows, rows[-1].id
    # Rows that did not match are not read again.
    return rows, max(after, newest, *(row.id for row in rows[-1:]))


async def newest_id(session: AsyncSession) -> int:
    """The id of the decision that was stored last; 0 without any."""
    newest = select(_decisions.c.id).order_by(_decisions.c.id.desc()).limit(1)
    return (await session.execute(newest)).scalar() or 0


async def everything(sessions: Sessions, filters: DecisionFilter) -> AsyncGenerator[Sequence[Logged]]:
    """All decisions made until now, oldest first, a page at a time.

    Each page has its own session, since a long read would hold up the database.
    """
    if filters.until is None:
        filters = replace(filters, until=time.time_ns() // 1000)
    mark = LogPosition(-(2**63), 0)
    while True:
        async with sessions() as session:
            rows = await _fetch(session, filters, EXPORT_PAGE, newer_than=mark)
        if rows:
            yield rows
        if len(rows) < EXPORT_PAGE:
            return
        mark = rows[-1].mark


_place = tuple_(_decisions.c.at, _decisions.c.id)
# The filters, from the one that usually matches the fewest decisions to the one that matches the most.
_SELECTIVE = ("request_id", "key_id", "subject", "resource", "revision", "action", "allowed")
_COLUMNS = (*(column for column in _decisions.c if column.name != "grant_set_id"), *_grant_sets.c["digest", "grants"])


def _query(which: ColumnElement[bool]) -> Select[Any]:
    joined = _decisions.outerjoin(_grant_sets, _decisions.c.grant_set_id == _grant_sets.c.id)
    return select(*_COLUMNS).select_from(joined).where(which)


async def _fetch(
    session: AsyncSession,
    filters: DecisionFilter,
    size: int,
    *,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> list[Logged]:
    """Decisions from newest to oldest, or with `newer_than` from oldest to newest."""
    if newer_than is not None:
        query = _query(_newer(filters, newer_than)).order_by(_decisions.c.at, _decisions.c.id)
    else:
        which = _matching(filters) if older_than is None else _older(filters, older_than)
        query = _query(which).order_by(_decisions.c.at.desc(), _decisions.c.id.desc())
    return [_logged(row) for row in await session.execute(query.limit(size))]


async def _any(session: AsyncSession, which: ColumnElement[bool]) -> bool:
    return bool((await session.execute(select(exists().where(which)))).scalar())


# The time of a place is also a bound of the time column: a planner that has such a bound, or partitions to choose from,
# compares tuples but does not look them up in the index.


def _older(filters: DecisionFilter, mark: LogPosition) -> ColumnElement[bool]:
    until = mark.at + 1 if filters.until is None else min(filters.until, mark.at + 1)
    return and_(_matching(replace(filters, until=until)), _place < tuple_(*mark))


def _newer(filters: DecisionFilter, mark: LogPosition) -> ColumnElement[bool]:
    since = mark.at if filters.since is None else max(filters.since, mark.at)
    return and_(_matching(replace(filters, since=since)), _place > tuple_(*mark))


def _matching(filters: DecisionFilter, indexed: int = 1) -> ColumnElement[bool]:
    criteria = [(_decisions.c[name], value) for name in _SELECTIVE if (value := getattr(filters, name)) is not None]
    # Only the first uses an index; with several a planner without statistics may read half the log.
    terms = [column == value for column, value in criteria[:indexed]]
    terms += [func.coalesce(column, null()) == value for column, value in criteria[indexed:]]
    if filters.since is not None:
        terms.append(_decisions.c.at >= filters.since)
    if filters.until is not None:
        terms.append(_decisions.c.at < filters.until)
    if filters.but_door is not None:
        terms.append(_decisions.c.door != filters.but_door)
    return and_(true(), *terms)


def _logged(row: Row[Any]) -> Logged:
    values = dict(row._mapping)
    row_id, digest, grants = values.pop("id"), values.pop("digest"), values.pop("grants")
    values["missing"] = tuple(values["missing"].split())
    return Logged(row_id, Record(**values, grants=None if grants is None else StatedGrants(digest, grants)))
