"""Reads the decisions of the previous release, from the table that its servers still write to.

Servers of this release move them. A later migration drops the table, and this module with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, null, select, true, tuple_
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.record import DecisionKey, Record, StatedGrants
from app.db.log_records import LoggedRecord, LogPosition
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet as GrantSetRow
from app.db.tables.decisions import LoggedDecision
from app.db.tables.fields import MAX_ID

_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)
_position = tuple_(_decisions.c.at, _decisions.c.id)
# The filters, in the order of the number of decisions that they usually match.
_FILTERS = ("request_id", "key_id", "subject", "resource", "revision", "action", "allowed")
_ROW_COLUMNS = ("at", "latency", "request_id", "token_id")
_COLUMNS = (*(column for column in _decisions.c if column.name != "grant_set_id"), *_grant_sets.c["digest", "grants"])


async def fetch(
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


async def following(
    session: AsyncSession, filters: DecisionFilter, after: int, size: int, up_to: int = MAX_ID
) -> list[LoggedRecord]:
    """Decisions with an id greater than `after`, and at most `up_to`, in that order."""
    # Few rows have such an id, so that no other index is needed.
    query = _query(_matching(filters, indexed=0)).where(_decisions.c.id > after, _decisions.c.id <= up_to)
    return [_logged(row) for row in await session.execute(query.order_by(_decisions.c.id).limit(size))]


async def first(session: AsyncSession, size: int) -> list[LoggedRecord]:
    """The decisions with the smallest ids."""
    return await following(session, DecisionFilter(), 0, size)


async def newest_id(session: AsyncSession) -> int:
    """The id of the decision that was stored last; 0 if there is none."""
    newest = select(_decisions.c.id).order_by(_decisions.c.id.desc()).limit(1)
    return (await session.execute(newest)).scalar() or 0


def _query(condition: ColumnElement[bool]) -> Select[Any]:
    joined = _decisions.outerjoin(_grant_sets, _decisions.c.grant_set_id == _grant_sets.c.id)
    return select(*_COLUMNS).select_from(joined).where(condition)


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
    if filters.client_id is not None:  # of apps, which the release that wrote them did not know
        terms.append(false())
    if filters.except_door is not None:
        terms.append(_decisions.c.door != filters.except_door)
    return and_(true(), *terms)


def _logged(row: Row[Any]) -> LoggedRecord:
    values = dict(row._mapping)
    row_id, digest, grants = values.pop("id"), values.pop("digest"), values.pop("grants")
    of_row = {name: values.pop(name) for name in _ROW_COLUMNS}
    values["missing"] = tuple(values["missing"].split())
    values["grants"] = None if grants is None else StatedGrants(digest, grants)
    return LoggedRecord(row_id, Record(**of_row, key=DecisionKey(**values)))
