"""Decisions in the database, read: a page newest first, what came since, or all."""

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
        """Its place."""
        return LogPosition(self.record.at, self.id)


@dataclass(frozen=True, slots=True)
class DecisionRows:
    """Decisions, newest first, and whether there are more on either side."""

    rows: Sequence[Logged]
    more_newer: bool
    more_older: bool


async def page(
    session: AsyncSession,
    wanted: DecisionFilter,
    *,
    size: int,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> DecisionRows:
    """At most `size` decisions: the newest, or those right beside a mark."""
    if newer_than is not None:
        rows = await _fetch(session, wanted, size + 1, newer_than=newer_than)
        more = len(rows) > size
        del rows[size:]
        rows.reverse()
        beside = rows[-1].mark if rows else LogPosition(newer_than.at, newer_than.id + 1)
        return DecisionRows(rows, more_newer=more, more_older=await _any(session, _older(wanted, beside)))
    rows = await _fetch(session, wanted, size + 1, older_than=older_than)
    more = len(rows) > size
    del rows[size:]
    if older_than is None:
        return DecisionRows(rows, more_newer=False, more_older=more)
    beside = rows[0].mark if rows else LogPosition(older_than.at, older_than.id - 1)
    return DecisionRows(rows, more_newer=await _any(session, _newer(wanted, beside)), more_older=more)


async def following(
    session: AsyncSession, wanted: DecisionFilter, *, after: int, size: int = 500
) -> tuple[Sequence[Logged], int]:
    """The decisions stored after the one with the id `after`, in that order, and the id to go on after."""
    newest = await newest_id(session)
    # Few have such an id, whatever else is wanted of them.
    query = _query(_matching(wanted, looked_up=0)).where(_decisions.c.id > after)
    query = query.order_by(_decisions.c.id).limit(size)
    rows = [_logged(row) for row in await session.execute(query)]
    if len(rows) == size:
        return rows, rows[-1].id
    # Those that did not fit are not looked at again.
    return rows, max(after, newest, *(row.id for row in rows[-1:]))


async def newest_id(session: AsyncSession) -> int:
    """The id of the decision that was stored last, 0 when there is none."""
    newest = select(_decisions.c.id).order_by(_decisions.c.id.desc()).limit(1)
    return (await session.execute(newest)).scalar() or 0


async def everything(sessions: Sessions, wanted: DecisionFilter) -> AsyncGenerator[Sequence[Logged]]:
    """All decisions made until now, oldest first, some at a time.

    Each time in a session of its own, for a long read would hold up the database.
    """
    if wanted.until is None:
        wanted = replace(wanted, until=time.time_ns() // 1000)
    mark = LogPosition(-(2**63), 0)
    while True:
        async with sessions() as session:
            rows = await _fetch(session, wanted, EXPORT_PAGE, newer_than=mark)
        if rows:
            yield rows
        if len(rows) < EXPORT_PAGE:
            return
        mark = rows[-1].mark


_place = tuple_(_decisions.c.at, _decisions.c.id)
# What can be filtered by, from the value that fits the fewest decisions to that which fits the most.
_SELECTIVE = ("request_id", "key_id", "subject", "resource", "revision", "action", "allowed")
_COLUMNS = (*(column for column in _decisions.c if column.name != "grant_set_id"), *_grant_sets.c["digest", "grants"])


def _query(which: ColumnElement[bool]) -> Select[Any]:
    joined = _decisions.outerjoin(_grant_sets, _decisions.c.grant_set_id == _grant_sets.c.id)
    return select(*_COLUMNS).select_from(joined).where(which)


async def _fetch(
    session: AsyncSession,
    wanted: DecisionFilter,
    size: int,
    *,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> list[Logged]:
    """From newest to oldest, or with `newer_than` from oldest to newest."""
    if newer_than is not None:
        query = _query(_newer(wanted, newer_than)).order_by(_decisions.c.at, _decisions.c.id)
    else:
        which = _matching(wanted) if older_than is None else _older(wanted, older_than)
        query = _query(which).order_by(_decisions.c.at.desc(), _decisions.c.id.desc())
    return [_logged(row) for row in await session.execute(query.limit(size))]


async def _any(session: AsyncSession, which: ColumnElement[bool]) -> bool:
    return bool((await session.execute(select(exists().where(which)))).scalar())


# The time of a mark bounds the times that are looked at, for a planner compares places and does not look them up where
# it has a bound of the time already, or has partitions to choose from.


def _older(wanted: DecisionFilter, mark: LogPosition) -> ColumnElement[bool]:
    until = mark.at + 1 if wanted.until is None else min(wanted.until, mark.at + 1)
    return and_(_matching(replace(wanted, until=until)), _place < tuple_(*mark))


def _newer(wanted: DecisionFilter, mark: LogPosition) -> ColumnElement[bool]:
    since = mark.at if wanted.since is None else max(wanted.since, mark.at)
    return and_(_matching(replace(wanted, since=since)), _place > tuple_(*mark))


def _matching(wanted: DecisionFilter, looked_up: int = 1) -> ColumnElement[bool]:
    given = [(_decisions.c[name], value) for name in _SELECTIVE if (value := getattr(wanted, name)) is not None]
    # Of several, the first is looked up and the rest compared: a planner without statistics may walk half the log.
    terms = [column == value for column, value in given[:looked_up]]
    terms += [func.coalesce(column, null()) == value for column, value in given[looked_up:]]
    if wanted.since is not None:
        terms.append(_decisions.c.at >= wanted.since)
    if wanted.until is not None:
        terms.append(_decisions.c.at < wanted.until)
    if wanted.but_door is not None:
        terms.append(_decisions.c.door != wanted.but_door)
    return and_(true(), *terms)


def _logged(row: Row[Any]) -> Logged:
    values = dict(row._mapping)
    row_id, digest, grants = values.pop("id"), values.pop("digest"), values.pop("grants")
    values["missing"] = tuple(values["missing"].split())
    return Logged(row_id, Record(**values, grants=None if grants is None else StatedGrants(digest, grants)))
