"""Finds rows of the decision log, newest or oldest first, by filters that few or many of them match.

First the rows next to the position are compared with the filters, which finds what many rows match. If that is not
enough, the matching keys say where the next rows are: with few keys, the index on key and time finds the next row of
each; with more than `MAX_KEYS`, all rows are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    Select,
    and_,
    func,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.record import DecisionKey, Record
from app.db.compact_ids import INDEXED, TIMED_SECONDS, compact, expand, expand_request_id, timed_id
from app.db.decision_filters import days_of_revision, filters_keys, is_of_key, keys, load_keys, matching_keys
from app.db.decision_times import DAY_SECONDS, EPOCH, join_time, split_time
from app.db.log_records import LoggedRecord, LogPosition
from app.db.tables.base import table_of
from app.db.tables.decisions import IS_UNTIMED, REQUEST_ID_PART, DecisionRow

MAX_KEYS = 10_000
_COMPARED = 60  # rows that are compared for each row of a page, at first
_MIN_COMPARED = 1_000
_rows = table_of(DecisionRow)
_COLUMNS = ("id", "decision_key_id", "second", "microsecond", "latency", "request_id", "token_id", "count")
_indexed_part = literal_column(REQUEST_ID_PART, LargeBinary)
# Not a column, which on SQLite would be compared with 1, so that the partial index would not be used.
_is_untimed = text(IS_UNTIMED)


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows between two times, in their order: newest first, or oldest first."""

    newest_first: bool
    since: int | None
    until: int | None
    beyond: LogPosition | None = None

    @property
    def low(self) -> int | None:
        """The smallest second."""
        times = [self.since, None if self.newest_first or self.beyond is None else self.beyond.at]
        return max((split_time(time)[0] for time in times if time is not None), default=None)

    @property
    def high(self) -> int | None:
        """The largest second."""
        times = [self.until, self.beyond.at if self.newest_first and self.beyond is not None else None]
        return min((split_time(time)[0] for time in times if time is not None), default=None)

    def condition(self, second: ColumnElement[int] = _rows.c.second) -> ColumnElement[bool]:
        """The condition on rows. Besides the exact times it bounds the second, which is indexed."""
        microsecond = _rows.c.microsecond
        terms: list[ColumnElement[bool]] = []
        if self.low is not None:
            terms.append(second >= self.low)
        if self.high is not None:
            terms.append(second <= self.high)
        if self.since is not None:
            at, part = split_time(self.since)
            terms.append(or_(second > at, microsecond >= part))
        if self.until is not None:
            at, part = split_time(self.until)
            terms.append(or_(second < at, microsecond < part))
        if self.beyond is not None:
            own = tuple_(second, microsecond, _rows.c.id)
            edge = tuple_(*split_time(self.beyond.at), self.beyond.id)
            terms.append(own < edge if self.newest_first else own > edge)
        return and_(true(), *terms)

    def ordered(self, query: Select[Any], rows: Any = _rows) -> Select[Any]:
        """The query in the order of the span."""
        columns = rows.c["second", "microsecond", "id"]
        return query.order_by(*(column.desc() if self.newest_first else column for column in columns))


async def search(
    session: AsyncSession,
    filters: DecisionFilter,
    size: int,
    *,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> list[LoggedRecord]:
    """Decisions from newest to oldest, or with `newer_than` from oldest to newest."""
    span = _Span(newer_than is None, filters.since, filters.until, newer_than or older_than)
    return await records(session, await _find(session, filters, span, size))


async def following(session: AsyncSession, filters: DecisionFilter, after: int, size: int) -> list[LoggedRecord]:
    """Decisions with an id greater than `after`, in that order."""
    query = _select(_Span(False, filters.since, filters.until).condition(), _own(filters)).where(_rows.c.id > after)
    return await records(session, (await session.execute(query.order_by(_rows.c.id).limit(size))).all())


async def between_ids(
    session: AsyncSession, after: int, up_to: int, size: int, known: dict[int, DecisionKey]
) -> tuple[list[LoggedRecord], Sequence[int]]:
    """The first decisions with ids greater than `after` and up to `up_to`, and the ids of all rows that were read.

    Rows whose key is missing are only among the latter. `known` caches keys by their ids.
    """
    query = _select(_rows.c.id > after, _rows.c.id <= up_to).order_by(_rows.c.id).limit(size)
    rows = (await session.execute(query)).all()
    return await records(session, rows, known), [row.id for row in rows]


async def newest_id(session: AsyncSession) -> int:
    """The id of the row that was stored last; 0 if there is none."""
    return (await session.execute(select(func.max(_rows.c.id)))).scalar() or 0


async def records(
    session: AsyncSession, rows: Sequence[Row[Any]], known: dict[int, DecisionKey] | None = None
) -> list[LoggedRecord]:
    """The decisions of rows with `_COLUMNS`. `known` caches keys by their ids."""
    found = {} if known is None else known
    found.update(await load_keys(session, {row.decision_key_id for row in rows} - found.keys()))
    # As tuples, since attributes of rows take most of the time.
    return [
        LoggedRecord(
            row_id,
            Record(
                at := join_time(second, microsecond),
                latency,
                expand_request_id(request_id, at),
                None if token_id is None else expand(token_id),
                found[key_id],
                count or 1,
            ),
        )
        for row_id, key_id, second, microsecond, latency, request_id, token_id, count in map(tuple, rows)
        if key_id in found  # retention may have deleted both in between
    ]


async def _find(session: AsyncSession, filters: DecisionFilter, span: _Span, size: int) -> Sequence[Row[Any]]:
    if filters.revision is not None and (narrowed := await _within_revision(session, span, filters.revision)) != span:
        if narrowed is None:
            return ()
        span = narrowed
    own = _own(filters)
    if filters.request_id is not None:
        return await _of_request(session, filters, span, size)
    if not filters_keys(filters):
        return await _all(session, span.ordered(_select(span.condition(), own)).limit(size))
    compared = max(_COMPARED * size, _MIN_COMPARED)
    near = span.ordered(_select(span.condition())).limit(compared).subquery()
    matching = is_of_key(filters, near.c.decision_key_id)
    found = list(await session.execute(span.ordered(select(near).where(matching), near).limit(size)))
    if len(found) == size:
        return found
    last = span.ordered(_select(span.condition())).offset(compared - 1).limit(1)
    edge = (await session.execute(last)).one_or_none()
    if edge is None:
        return found
    rest = replace(span, beyond=LogPosition(join_time(edge.second, edge.microsecond), edge.id))
    matching_ids = matching_keys(filters, rest.low, rest.high)
    ids = (await session.execute(matching_ids.limit(MAX_KEYS + 1))).scalars().all()
    if not ids:
        return found
    left = size - len(found)
    if len(ids) > MAX_KEYS:
        query = span.ordered(_select(rest.condition(), own)).limit(left)
        return [*found, *await session.execute(query)]
    return [*found, *await _of_keys(session, filters, rest, left)]


async def _of_request(session: AsyncSession, filters: DecisionFilter, span: _Span, size: int) -> Sequence[Row[Any]]:
    """Rows with a request id: those that the index finds, and those that its time finds."""
    # Without the index on the time, for a planner may choose one of both.
    second = func.coalesce(_rows.c.second, null())
    own = is_of_key(filters, _rows.c.decision_key_id)
    assert filters.request_id is not None
    matches = _select(span.condition(second), own, _is_indexed_id(filters.request_id)).offset(0).subquery()
    found = await _all(session, span.ordered(select(matches), matches).limit(size))
    if (is_timed := _is_timed_id(filters.request_id)) is not None:
        found += await session.execute(span.ordered(_select(span.condition(), own, is_timed)).limit(size))
        found.sort(key=lambda row: (row.second, row.microsecond, row.id), reverse=span.newest_first)
    return found[:size]


async def _of_keys(session: AsyncSession, filters: DecisionFilter, span: _Span, size: int) -> Sequence[Row[Any]]:
    """Rows of few keys. Those of the second of the position come first, and then the next rows of each key."""
    assert span.beyond is not None
    edge = split_time(span.beyond.at)[0]
    condition = span.condition()
    at_edge = _select(condition, is_of_key(filters, _rows.c.decision_key_id)).where(_rows.c.second == edge)
    found = list(await session.execute(span.ordered(at_edge).limit(size)))
    left = size - len(found)
    if not left:
        return found
    beyond = _rows.c.second < edge if span.newest_first else _rows.c.second > edge
    extreme = func.max if span.newest_first else func.min
    next_second = (
        select(extreme(_rows.c.second))
        .where(_rows.c.decision_key_id == keys.c.id, beyond, condition)
        .correlate(keys)
        .scalar_subquery()
    )
    seconds = matching_keys(filters, span.low, span.high).add_columns(next_second.label("next")).subquery()
    order = seconds.c.next.desc() if span.newest_first else seconds.c.next
    nearest = (
        await session.execute(select(seconds).where(seconds.c.next.is_not(None)).order_by(order).limit(left))
    ).all()
    if not nearest:
        return found
    # The rows that are looked for are not farther than the last of these, where other keys may have rows too.
    last = nearest[-1].next
    if len(nearest) == left:
        is_nearer = _rows.c.second > last if span.newest_first else _rows.c.second < last
        ids = [row.id for row in nearest if row.next != last]
        at_last = _select(condition, is_of_key(filters, _rows.c.decision_key_id)).where(_rows.c.second == last)
        rows = await _nearest_rows(session, span, and_(condition, beyond, is_nearer), ids, left)
        found += rows
        if len(rows) < left:
            found += await session.execute(span.ordered(at_last).limit(left - len(rows)))
        return found
    ids = [row.id for row in nearest]
    return [*found, *await _nearest_rows(session, span, and_(condition, beyond), ids, left)]


async def _nearest_rows(
    session: AsyncSession, span: _Span, condition: ColumnElement[bool], ids: Sequence[int], size: int
) -> Sequence[Row[Any]]:
    """The first rows of each of these keys, and of all together."""
    if not ids:
        return ()
    few = select(keys.c.id).where(keys.c.id.in_(ids)).subquery()
    own = span.ordered(_select(condition).where(_rows.c.decision_key_id == few.c.id).correlate(few)).limit(size)
    if session.get_bind().dialect.name == "postgresql":
        each = own.lateral()
        query = select(each).select_from(few.join(each, true()))
        return await _all(session, span.ordered(query, each).limit(size))
    others = _rows.alias()
    of_key = own.with_only_columns(_rows.c.id)
    query = select(*others.c[_COLUMNS]).select_from(few.join(others, others.c.id.in_(of_key)))
    return await _all(session, span.ordered(query, others).limit(size))


async def _within_revision(session: AsyncSession, span: _Span, revision: str) -> _Span | None:
    """The part of a span with decisions under a revision; None if there are none."""
    first, last = (await session.execute(days_of_revision(revision))).one()
    if first is None:
        return None
    since, until = (join_time(day * DAY_SECONDS - EPOCH, 0) for day in (first, last + 1))
    return replace(
        span,
        since=since if span.since is None else max(since, span.since),
        until=until if span.until is None else min(until, span.until),
    )


def _own(filters: DecisionFilter) -> ColumnElement[bool]:
    """The condition on a row and on its key."""
    own = is_of_key(filters, _rows.c.decision_key_id)
    if filters.request_id is None:
        return own
    is_timed = _is_timed_id(filters.request_id)
    is_indexed = _is_indexed_id(filters.request_id)
    return own & (is_indexed if is_timed is None else is_indexed | is_timed)


def _is_indexed_id(request_id: str) -> ColumnElement[bool]:
    data = compact(request_id)
    return and_(_is_untimed, _indexed_part == data[INDEXED], _rows.c.request_id == data)


def _is_timed_id(request_id: str) -> ColumnElement[bool] | None:
    """The condition that a row has the id as one of our own; None if it is none."""
    timed = timed_id(request_id)
    if timed is None:
        return None
    first, _ = split_time(timed.at)
    return _rows.c.second.between(first, first + TIMED_SECONDS) & (_rows.c.request_id == timed.data)


async def _all(session: AsyncSession, query: Select[Any]) -> list[Row[Any]]:
    return list(await session.execute(query))


def _select(*conditions: Any) -> Select[Any]:
    return select(*_rows.c[_COLUMNS]).where(*conditions)
