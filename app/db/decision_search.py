"""Finds rows of the decision log, newest or oldest first, by filters that few or many of them match.

First the rows next to the position are compared with the filters, which finds what many rows match. If that is not
enough, the matching keys say on which days the next rows are, and their rows are read for the rest of a day and then in
wider parts: by the index on the key, or all rows of a part are compared if there are very many keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
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
    union_all,
)
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.record import DecisionKey, Record
from app.db.compact_ids import INDEXED, TIMED_SECONDS, compact, expand, expand_request_id, timed_id
from app.db.decision_filters import (
    days_of_revision,
    filters_keys,
    is_of_key,
    load_keys,
    matching_keys,
)
from app.db.decision_times import DAY, DAY_SECONDS, EPOCH, join_time, split_time
from app.db.log_records import LoggedRecord, LogPosition
from app.db.row_order import TIME_BLOCK, by_id, by_time, dialect_of, ids_after, seconds_between, time_block
from app.db.tables.base import table_of
from app.db.tables.decisions import IS_UNTIMED, REQUEST_ID_PART, DecisionRow

_COMPARED = 12  # rows that are compared for each row of a page, at first
_MIN_COMPARED = 250
_FURTHER = 4  # times as many after that
# On PostgreSQL, until the end of the transaction. A plan for any values would read every partition; the pages of keys
# are in memory; and compilation takes longer than a page.
_PLANNING = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('random_page_cost', '1.1', true), "
    "set_config('jit', 'off', true)"
)
_WIDER = 16  # times that the part of a span is wider than the one before
_rows = table_of(DecisionRow)
_COLUMNS = ("id", "decision_key_id", "second", "microsecond", "latency", "request_id", "token_id", "count")
_IS_LAST = "is_last"
_indexed_part = literal_column(REQUEST_ID_PART, LargeBinary)
# Not a column, which on SQLite would be compared with 1, so that the partial index would not be used.
_is_untimed = text(IS_UNTIMED)


@dataclass(frozen=True, slots=True)
class _Span:
    """Rows between two times, in their order: newest first, or oldest first.

    They come after the position `beyond`.
    """

    dialect: str
    newest_first: bool
    since: int | None
    until: int | None
    beyond: LogPosition | None = None

    @property
    def low(self) -> int | None:
        """The smallest second."""
        times = (self.since, self.beyond.at if self.beyond and not self.newest_first else None)
        return max((split_time(time)[0] for time in times if time is not None), default=None)

    @property
    def high(self) -> int | None:
        """The largest second."""
        times = (self.until, self.beyond.at if self.beyond and self.newest_first else None)
        return min((split_time(time)[0] for time in times if time is not None), default=None)

    def condition(self, index: Literal["second", "key"] | None = "second") -> ColumnElement[bool]:
        """The condition on rows. Besides the exact times it bounds the second, for the index that finds the rows."""
        microsecond = _rows.c.microsecond
        second: ColumnElement[int] = _rows.c.second if index else func.coalesce(_rows.c.second, null())
        if index == "second":
            terms = [seconds_between(self.dialect, self.low, self.high)]
        else:
            terms = [second >= self.low] if self.low is not None else []
            terms += [second <= self.high] if self.high is not None else []
        if self.since is not None:
            at, part = split_time(self.since)
            terms.append(or_(second > at, microsecond >= part))
        if self.until is not None:
            at, part = split_time(self.until)
            terms.append(or_(second < at, microsecond < part))
        own = tuple_(second, microsecond, _rows.c.id)
        if self.beyond is not None:
            edge = tuple_(*split_time(self.beyond.at), self.beyond.id)
            terms.append(own < edge if self.newest_first else own > edge)
        return and_(true(), *terms)

    def ordered(self, query: Select[Any], rows: Any = None) -> Select[Any]:
        """The query in the order of the span; `rows` are those of a subquery."""
        if rows is None:
            return query.order_by(*by_time(self.dialect, newest_first=self.newest_first))
        columns = [rows.c[name] for name in (TIME_BLOCK, "second", "microsecond", "id") if name in rows.c]
        return query.order_by(*(column.desc() if self.newest_first else column for column in columns))

    def within(self, since: int | None, until: int | None) -> _Span:
        """The part of the span at or after `since` and before `until`; None is no bound."""
        lows = [time for time in (self.since, since) if time is not None]
        highs = [time for time in (self.until, until) if time is not None]
        return replace(self, since=max(lows, default=None), until=min(highs, default=None))

    def on_days(self, first: int, last: int) -> _Span:
        """The part of the span on days since 1970."""
        return self.within(*(join_time(day * DAY_SECONDS - EPOCH, 0) for day in (first, last + 1)))

    def parts(self) -> Iterator[_Span]:
        """The span in parts from its position on: the rest of a day, 16 days and so on."""
        assert self.beyond is not None
        start = self.beyond.at - self.beyond.at % DAY
        near, far, width = None, start if self.newest_first else start + DAY, DAY
        while (self.since or far) < far if self.newest_first else far < (self.until or far):
            yield self.within(far, near) if self.newest_first else self.within(near, far)
            width *= _WIDER
            near, far = far, far - width if self.newest_first else far + width
        yield self.within(None, near) if self.newest_first else self.within(near, None)


async def search(
    session: AsyncSession,
    filters: DecisionFilter,
    size: int,
    *,
    older_than: LogPosition | None = None,
    newer_than: LogPosition | None = None,
) -> list[LoggedRecord]:
    """Decisions from newest to oldest, or with `newer_than` from oldest to newest."""
    span = _Span(dialect_of(session), newer_than is None, filters.since, filters.until, newer_than or older_than)
    if span.dialect == "postgresql":
        await session.execute(_PLANNING)
    return await records(session, await _find(session, filters, span, size))


async def following(session: AsyncSession, filters: DecisionFilter, after: int, size: int) -> list[LoggedRecord]:
    """Decisions with an id greater than `after`, in that order."""
    dialect = dialect_of(session)
    span = _Span(dialect, False, filters.since, filters.until)
    query = _select(span.condition(), _own(dialect, filters), ids_after(dialect, after))
    return await records(session, (await session.execute(query.order_by(*by_id(dialect)).limit(size))).all())


async def between_ids(
    session: AsyncSession, after: int, up_to: int, size: int, known: dict[int, DecisionKey]
) -> tuple[list[LoggedRecord], Sequence[int]]:
    """The first decisions with ids greater than `after` and up to `up_to`, and the ids of all rows that were read.

    Rows whose key is missing are only among the latter. `known` caches keys by their ids.
    """
    dialect = dialect_of(session)
    query = _select(ids_after(dialect, after, up_to)).order_by(*by_id(dialect)).limit(size)
    rows = (await session.execute(query)).all()
    return await records(session, rows, known), [row.id for row in rows]


async def newest_id(session: AsyncSession) -> int:
    """The id of the row that was stored last; 0 if there is none."""
    newest = select(_rows.c.id).order_by(*by_id(dialect_of(session), newest_first=True)).limit(1)
    return (await session.execute(newest)).scalar() or 0


async def records(
    session: AsyncSession, rows: Sequence[Row[Any]], known: dict[int, DecisionKey] | None = None
) -> list[LoggedRecord]:
    """The decisions of rows that begin with `_COLUMNS`. `known` caches keys by their ids."""
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
        for row_id, key_id, second, microsecond, latency, request_id, token_id, count, *_ in map(tuple, rows)
        if key_id in found  # retention may have deleted both in between
    ]


async def _find(session: AsyncSession, filters: DecisionFilter, span: _Span, size: int) -> Sequence[Row[Any]]:
    if filters.revision is not None and (narrowed := await _within_revision(session, span, filters.revision)) != span:
        if narrowed is None:
            return ()
        span = narrowed
    own = _own(span.dialect, filters)
    if filters.request_id is not None:
        return await _of_request(session, filters, span, size)
    if not filters_keys(filters):
        return await _all(session, span.ordered(_select(span.condition(), own)).limit(size))
    found, rest = await _near(session, filters, span, size)
    if rest is None or len(found) == size:
        return found
    matching = matching_keys(filters, rest.low, rest.high).subquery()
    days = select(func.min(matching.c.first_day), func.max(matching.c.last_day))
    first, last = (await session.execute(days)).one()
    if first is None:
        return found
    return [*found, *await _of_keys(session, filters, rest.on_days(first, last), size - len(found))]


async def _near(
    session: AsyncSession, filters: DecisionFilter, span: _Span, size: int
) -> tuple[list[Row[Any]], _Span | None]:
    """The rows among those next to the position, and the rest of the span; None if nothing is left.

    More are compared if so many match that these are likely to be enough.
    """
    compared = max(_COMPARED * size, _MIN_COMPARED)
    found, edge = await _compare(session, filters, span, size, compared)
    if edge is not None and len(found) < size <= len(found) * (1 + _FURTHER):
        span = replace(span, beyond=edge)
        more, edge = await _compare(session, filters, span, size - len(found), _FURTHER * compared)
        found += more
    return found, None if edge is None else replace(span, beyond=edge)


async def _compare(
    session: AsyncSession, filters: DecisionFilter, span: _Span, size: int, number: int
) -> tuple[list[Row[Any]], LogPosition | None]:
    """The first rows that match among the first `number` rows of a span, and the last of these if there are so many.

    In one statement, since on PostgreSQL each reads all rows of a block, and since another one could see other rows:
    while a flood is deleted, rows between the last of the one and the first of the next would be in neither.
    """
    in_order = span.ordered(_select(span.condition())).add_columns(*time_block(span.dialect))
    near = in_order.limit(number).cte("near").prefix_with("MATERIALIZED")
    matching = select(*near.c[_COLUMNS]).where(is_of_key(filters, near.c.decision_key_id))
    first = span.ordered(matching, near).limit(size).subquery()
    last = span.ordered(select(*near.c[_COLUMNS]), near).offset(number - 1).limit(1).subquery()
    both = union_all(select(*first.c, literal_column("0").label(_IS_LAST)), select(*last.c, literal_column("1")))
    found = await _all(session, both)
    edge = next((LogPosition(join_time(row.second, row.microsecond), row.id) for row in found if row.is_last), None)
    found = [row for row in found if not row.is_last]
    found.sort(key=lambda row: (row.second, row.microsecond, row.id), reverse=span.newest_first)
    return found, edge


async def _of_request(session: AsyncSession, filters: DecisionFilter, span: _Span, size: int) -> Sequence[Row[Any]]:
    """Rows with a request id: those that the index finds, and those that its time finds."""
    own = is_of_key(filters, _rows.c.decision_key_id)
    assert filters.request_id is not None
    # Without the index on the time, for a planner may choose one of both.
    matches = _select(span.condition(None), own, _is_indexed_id(filters.request_id)).offset(0).subquery()
    found = await _all(session, span.ordered(select(matches), matches).limit(size))
    if (is_timed := _is_timed_id(span.dialect, filters.request_id)) is not None:
        found += await session.execute(span.ordered(_select(span.condition(), own, is_timed)).limit(size))
        found.sort(key=lambda row: (row.second, row.microsecond, row.id), reverse=span.newest_first)
    return found[:size]


async def _of_keys(session: AsyncSession, filters: DecisionFilter, span: _Span, size: int) -> Sequence[Row[Any]]:
    """Rows of the matching keys, part by part."""
    found = list[Row[Any]]()
    for part in span.parts():
        matching = select(matching_keys(filters, part.low, part.high).subquery().c.id)
        query = _select(_rows.c.decision_key_id.in_(matching), part.condition("key"))
        # In an order that no index has, for a planner may read all rows of the part in it.
        order = [func.coalesce(_rows.c[name], null()) for name in ("second", "microsecond", "id")]
        query = query.order_by(*(column.desc() if span.newest_first else column for column in order))
        found += await session.execute(query.limit(size - len(found)))
        if len(found) == size:
            break
    return found


async def _within_revision(session: AsyncSession, span: _Span, revision: str) -> _Span | None:
    """The part of a span with decisions under a revision; None if there are none."""
    first, last = (await session.execute(days_of_revision(revision))).one()
    return None if first is None else span.on_days(first, last)


def _own(dialect: str, filters: DecisionFilter) -> ColumnElement[bool]:
    """The condition on a row and on its key."""
    own = is_of_key(filters, _rows.c.decision_key_id)
    if filters.request_id is None:
        return own
    is_timed = _is_timed_id(dialect, filters.request_id)
    is_indexed = _is_indexed_id(filters.request_id)
    return own & (is_indexed if is_timed is None else is_indexed | is_timed)


def _is_indexed_id(request_id: str) -> ColumnElement[bool]:
    data = compact(request_id)
    return and_(_is_untimed, _indexed_part == data[INDEXED], _rows.c.request_id == data)


def _is_timed_id(dialect: str, request_id: str) -> ColumnElement[bool] | None:
    """The condition that a row has the id as one of our own; None if it is none."""
    timed = timed_id(request_id)
    if timed is None:
        return None
    first, _ = split_time(timed.at)
    return seconds_between(dialect, first, first + TIMED_SECONDS) & (_rows.c.request_id == timed.data)


async def _all(session: AsyncSession, query: Select[Any] | CompoundSelect[Any]) -> list[Row[Any]]:
    return list(await session.execute(query))


def _select(*conditions: Any) -> Select[Any]:
    return select(*_rows.c[_COLUMNS]).where(*conditions)
