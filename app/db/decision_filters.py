"""Filters of decisions as conditions on the tables of keys."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, Table, cast, func, null, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.record import DecisionKey, StatedGrants
from app.db.decision_times import DAY_SECONDS, EPOCH, MAX_SECOND, MIN_SECOND
from app.db.tables.base import table_of
from app.db.tables.decisions import (
    DecisionCaller,
    DecisionKeyRow,
    DecisionOutcome,
    DecisionRow,
    DecisionTarget,
    GrantSet,
)

keys = table_of(DecisionKeyRow)
callers, targets, outcomes = (table_of(model) for model in (DecisionCaller, DecisionTarget, DecisionOutcome))
_grant_sets, _rows = table_of(GrantSet), table_of(DecisionRow)
# The parts of a key with their filters, in the order of the number of decisions that they usually match.
_PARTS = (
    (callers, keys.c.caller_id, ("client_id", "key_id", "subject")),
    (targets, keys.c.target_id, ("resource", "action")),
    (outcomes, keys.c.outcome_id, ("revision", "allowed")),
)
_CHUNK = 2_000  # keys in a statement
_KEYS = select(
    keys.c.id,
    targets.c.door,
    *callers.c["subject", "method", "key_id"],
    *targets.c["action", "resource"],
    *outcomes.c["allowed", "reason", "rule_place", "rule_text", "missing", "revision"],
    *callers.c["client_id", "impersonator"],
    *_grant_sets.c["digest", "grants"],
).select_from(
    keys.join(callers, callers.c.id == keys.c.caller_id)
    .join(targets, targets.c.id == keys.c.target_id)
    .join(outcomes, outcomes.c.id == keys.c.outcome_id)
    .outerjoin(_grant_sets, _grant_sets.c.id == callers.c.grant_set_id)
)


def filters_keys(filters: DecisionFilter) -> bool:
    """Whether keys that match can be found by an index."""
    return any(getattr(filters, name) is not None for _, _, names in _PARTS for name in names)


def is_of_key(filters: DecisionFilter, key_id: ColumnElement[int]) -> ColumnElement[bool]:
    """The condition that the key with this id matches."""
    query: Select[Any] = select(keys.c.id).where(keys.c.id == key_id)
    is_any = True
    for table, reference, _ in _PARTS:
        if terms := _terms(table, filters, indexed=0):
            query = query.join(table, table.c.id == reference).where(*terms)
            is_any = False
    if is_any:
        return true()
    # Not as EXISTS, of which a planner may make a join with all keys.
    return query.limit(1).correlate_except(keys, callers, targets, outcomes).scalar_subquery().is_not(None)


def matching_keys(filters: DecisionFilter, low: int | None, high: int | None) -> Select[Any]:
    """The ids and days of keys that match, with decisions of days between two seconds since 2020."""
    query: Select[Any] = select(*keys.c["id", "first_day", "last_day"])
    is_indexed = False
    for table, reference, _ in _PARTS:
        if terms := _terms(table, filters, indexed=1):
            # Only the first may use an index: with several, a planner without statistics may read most keys.
            column = func.coalesce(reference, null()) if is_indexed else reference
            query = query.where(column.in_(select(table.c.id).where(*terms)))
            is_indexed = True
    if low is not None:
        query = query.where(func.coalesce(keys.c.last_day, null()) >= (low + EPOCH) // DAY_SECONDS)
    if high is not None:
        query = query.where(keys.c.first_day <= (high + EPOCH) // DAY_SECONDS)
    return query


def is_on_days_of(dialect: str, of_key: FromClause) -> ColumnElement[bool]:
    """On PostgreSQL the condition that a row is of the days of a key, which bound the partitions in which it looks.

    `of_key` is the table of keys, or a subquery with their days.
    """
    if dialect != "postgresql":
        return true()
    low, high = (
        func.greatest(func.least(cast(day, BigInteger) * DAY_SECONDS - EPOCH, MAX_SECOND), MIN_SECOND)
        for day in (of_key.c.first_day, of_key.c.last_day + 1)
    )
    return _rows.c.second.between(low, high)


def days_of_revision(revision: str) -> Select[Any]:
    """The first and the last day of decisions under a revision; both are None if there are none."""
    days = select(func.min(outcomes.c.first_day), func.max(outcomes.c.last_day))
    return days.where(outcomes.c.revision == revision)


async def load_keys(session: AsyncSession, ids: set[int]) -> dict[int, DecisionKey]:
    """Keys by their ids."""
    found: dict[int, DecisionKey] = {}
    ordered = sorted(ids)
    sets: dict[bytes, StatedGrants] = {}  # each once, since many keys share it
    for start in range(0, len(ordered), _CHUNK):
        for row in await session.execute(_KEYS.where(keys.c.id.in_(ordered[start : start + _CHUNK]))):
            key_id, *fields, missing, revision, client_id, impersonator, digest, grants = tuple(row)
            stated = None if grants is None else sets.setdefault(digest, StatedGrants(digest, grants))
            found[key_id] = DecisionKey._make(
                (*fields, tuple(missing.split()), revision, stated, client_id, impersonator)
            )
    return found


def _terms(table: Table, filters: DecisionFilter, *, indexed: int) -> list[ColumnElement[bool]]:
    names = next(names for part, _, names in _PARTS if part is table)
    criteria = [(table.c[name], value) for name in names if (value := getattr(filters, name)) is not None]
    terms: list[ColumnElement[bool]] = [column == value for column, value in criteria[:indexed]]
    terms += [func.coalesce(column, null()) == value for column, value in criteria[indexed:]]
    if table is targets and filters.except_door is not None:
        terms.append(targets.c.door != filters.except_door)
    return terms
