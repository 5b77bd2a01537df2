"""The use of an API key, from the decision log."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Select, func, literal, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.decision_filters import callers, keys, outcomes, targets
from app.db.decision_times import EPOCH, join_time, split_time
from app.db.row_order import by_time, dialect_of
from app.db.tables.base import table_of
from app.db.tables.decisions import DecisionRow, LoggedDecision
from app.policy.analysis.usage import Usage, Use, time_of, usage
from app.policy.engine.snapshot import Snapshot

_rows = table_of(DecisionRow)
_former = table_of(LoggedDecision)  # of the previous release: see `app.db.former_decisions`
_GROUPED = ("action", "resource", "rule_text")


async def uses(session: AsyncSession, key_id: int, since: int, *, latest: int | None = None) -> tuple[Use, ...]:
    """The allowed decisions of the key from `since` on, in microseconds since 1970, grouped and counted.

    With `latest`, only that many of its latest rows are read.
    """
    found: Select[Any] | CompoundSelect[Any] = _of_key(key_id, since)
    if latest is not None:
        unordered = found.subquery()
        found = select(unordered).order_by(unordered.c.at.desc(), unordered.c.id.desc()).limit(latest)
    read = found.subquery()
    columns = [read.c[name] for name in _GROUPED]
    query = (
        select(*columns, func.sum(read.c["count"]), func.max(read.c.at))
        .where(read.c.allowed == true())
        .group_by(*columns)
        .order_by(*columns)
    )
    found_uses = []
    for row in await session.execute(query):
        action, resource, rule, count, at = tuple(row)
        found_uses.append(Use(action, resource, rule or "", int(count), at))
    return tuple(found_uses)


async def number(session: AsyncSession, key_id: int, since: int, *, at_most: int) -> int:
    """The number of decisions of the key from `since` on, at most `at_most`."""
    read = _of_key(key_id, since).limit(at_most).subquery()
    count = (await session.execute(select(func.sum(read.c["count"])))).scalar_one()
    return min(int(count or 0), at_most)


async def oldest(session: AsyncSession) -> datetime | None:
    """The time of the oldest decision in the log; None without any."""
    former = (await session.execute(select(func.min(_former.c.at)))).scalar()
    first = select(_rows.c.second, _rows.c.microsecond).order_by(*by_time(dialect_of(session))).limit(1)
    row = (await session.execute(first)).one_or_none()
    times = [time for time in (former, row and join_time(*row)) if time is not None]
    return time_of(min(times)) if times else None


async def usage_since(
    session: AsyncSession,
    snapshot: Snapshot,
    held: frozenset[str],
    scopes: Collection[str],
    *,
    key_id: int,
    since: datetime,
    latest: int | None = None,
) -> tuple[Usage, datetime | None]:
    """Which scopes of a key with these grants were used since a time, and when the log began. `latest` as in `uses`."""
    found = await uses(session, key_id, int(since.timestamp() * 1_000_000), latest=latest)
    return usage(snapshot, held, scopes, found), await oldest(session)


def _of_key(key_id: int, since: int) -> CompoundSelect[Any]:
    """The decisions of an API key, of both tables in one statement, so that one that is moved counts once."""
    second, microsecond = split_time(since)
    at = (_rows.c.second + literal(EPOCH, _former.c.at.type)) * 1_000_000 + _rows.c.microsecond
    joined = (
        _rows.join(keys, keys.c.id == _rows.c.decision_key_id)
        .join(callers, callers.c.id == keys.c.caller_id)
        .join(targets, targets.c.id == keys.c.target_id)
        .join(outcomes, outcomes.c.id == keys.c.outcome_id)
    )
    new = (
        select(
            _rows.c.id,
            targets.c.action,
            targets.c.resource,
            outcomes.c.rule_text,
            outcomes.c.allowed,
            at.label("at"),
            func.coalesce(_rows.c["count"], 1).label("count"),
        )
        .select_from(joined)
        .where(callers.c.key_id == key_id, _rows.c.second >= second)
        .where((_rows.c.second > second) | (_rows.c.microsecond >= microsecond))
    )
    former = select(_former.c.id, *_former.c[(*_GROUPED, "allowed", "at")], literal(1).label("count")).where(
        _former.c.key_id == key_id, _former.c.at >= since
    )
    return union_all(new, former)
