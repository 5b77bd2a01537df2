"""Reads decisions from the database: a page newest first, those after an id, or all."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, exists, func, null, select, true, tuple_
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.record import DecisionKey, Record, StatedGrants
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet as GrantSetRow
from app.db.tables.decisions import LoggedDecision

EXPORT_PAGE = 1_000
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)


class LogPosition(NamedTuple):
    """The position of a decision in the log: its time in microseconds since 1970, and its id."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A decision with its id in the log."""

    id: int
    record: Record

    @property
    def position(self) -> LogPosition:
        """The position of the decision in the log."""
        return LogPosition(self.record.at, self.id)


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
        return DecisionRows(rows, more_newer=more, more_older=await _any(session, _older(filters, edge)))
    rows = await _fetch(session, filters, size + 1, older_than=older_than)
    more = len(rows) > size
    del rows[size:]
    if older_than is None:
        return DecisionRows(rows, more_newer=False, more_older=more)
    edge = rows[0].position if rows else LogPosition(older_than.at, older_than.id - 1)
    return DecisionRows(rows, more_newer=await _any(session, _newer(filters, edge)), more_older=more)


async def following(
    session: AsyncSession, filters: DecisionFilter, *, after: int, size: int = 500
) -> tuple[Sequence[LoggedRecord], int]:
    """The decisions stored after the id `after`, in that order, and the id to continue after."""
    newest = await newest_id(session)
    # Few rows have such an id, so that no other index is needed.
    query = _query(_matching(filters, indexed=0)).where(_decisions.c.id > after)
    query = query.order_by(_decisions.c.id).limit(size)
    rows = [_logged(row) for row in await session.execute(query)]
    if len(rows) == size:
        return rows, rows[-1].id
    # So that rows that do not match are not read again.
    return rows, max(after, newest, *(row.id for row in rows[-1:]))


async def newest_id(session: AsyncSession) -> int:
    """The id of the decision that was stored last; 0 if there is none."""
    newest = select(_decisions.c.id).order_by(_decisions.c.id.desc()).limit(1)
    return (await session.execute(newest)).scalar() or 0


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


_position = tuple_(_decisions.c.at, _decisions.c.id)
# The filters, in the order of the number of decisions that they usually match.
_FILTERS = ("request_id", "key_id", "subject", "resource", "revision", "action", "allowed")
_COLUMNS = (*(column for column in _decisions.c if column.name != "grant_set_id"), *_grant_sets.c["digest", "grants"])


def _query(condition: ColumnElement[bool]) -> Select[Any]:
    joined = _decisions.outerjoin(_grant_sets, _decisions.c.grant_set_id == _grant_sets.c.id)
    return select(*_COLUMNS).select_from(joined).where(condition)


async def _fetch(
    session: AsyncSession,
    filters: DecisionFilter,
    size: int,
    *,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> list[LoggedRecord]:
    """Decisions from newest to oldest, or with `newer_than` from oldest to newest."""
    if newer_than is not None:
        query = _query(_newer(filters, newer_than)).order_by(_decisions.c.at, _decisions.c.id)
    else:
        condition = _matching(filters) if older_than is None else _older(filters, older_than)
        query = _query(condition).order_by(_decisions.c.at.desc(), _decisions.c.id.desc())
    return [_logged(row) for row in await session.execute(query.limit(size))]


async def _any(session: AsyncSession, condition: ColumnElement[bool]) -> bool:
    return bool((await session.execute(select(exists().where(condition)))).scalar())


# The time of a position is also a bound of the time column: a planner that has such a bound, or partitions, compares
# tuples without an index.


def _older(filters: DecisionFilter, position: LogPosition) -> ColumnElement[bool]:
    until = position.at + 1 if filters.until is None else min(filters.until, position.at + 1)
    return and_(_matching(replace(filters, until=until)), _position < tuple_(*position))


def _newer(filters: DecisionFilter, position: LogPosition) -> ColumnElement[bool]:
    since = position.at if filters.since is None else max(filters.since, position.at)
    return and_(_matching(replace(filters, since=since)), _position > tuple_(*position))


def _matching(filters: DecisionFilter, indexed: int = 1) -> ColumnElement[bool]:
    criteria = [(_decisions.c[name], value) for name in _FILTERS if (value := getattr(filters, name)) is not None]
    # Only the first may use an index: with several, a planner without statistics may read half of the log.
    terms = [column == value for column, value in criteria[:indexed]]
    terms += [func.coalesce(column, null()) == value for column, value in criteria[indexed:]]
    if filters.since is not None:
        terms.append(_decisions.c.at >= filters.since)
    if filters.until is not None:
        terms.append(_decisions.c.at < filters.until)
    if filters.except_door is not None:
        terms.append(_decisions.c.door != filters.except_door)
    return and_(true(), *terms)


def _logged(row: Row[Any]) -> LoggedRecord:
    values = dict(row._mapping)
    row_id, digest, grants = values.pop("id"), values.pop("digest"), values.pop("grants")
    of_row = {name: values.pop(name) for name in ("at", "latency", "request_id", "token_id")}
    values["missing"] = tuple(values["missing"].split())
    return LoggedRecord(
        row_id,
        Record(**of_row, key=DecisionKey(**values, grants=None if grants is None else StatedGrants(digest, grants))),
    )
