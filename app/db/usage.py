"""The use of an API key, from the decision log."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables.base import table_of
from app.db.tables.decisions import LoggedDecision
from app.policy.analysis.usage import Usage, Use, time_of, usage
from app.policy.engine.snapshot import Snapshot

_decisions = table_of(LoggedDecision)
_GROUPED = ("action", "resource", "rule_text")


async def uses(session: AsyncSession, key_id: int, since: int, *, latest: int | None = None) -> tuple[Use, ...]:
    """The allowed decisions of the key from `since` on, in microseconds since 1970, grouped and counted.

    With `latest`, only that many of its latest decisions are read.
    """
    selected = [_decisions.c[name] for name in (*_GROUPED, "at", "allowed")]
    of_key = select(*selected).where(_decisions.c.key_id == key_id, _decisions.c.at >= since)
    if latest is not None:
        of_key = of_key.order_by(_decisions.c.at.desc(), _decisions.c.id.desc()).limit(latest)
    latest_rows = of_key.subquery()
    columns = [latest_rows.c[name] for name in _GROUPED]
    query = (
        select(*columns, func.count(), func.max(latest_rows.c.at))
        .where(latest_rows.c.allowed == true())
        .group_by(*columns)
        .order_by(*columns)
    )
    return tuple(
        Use(action, resource, row or "", *rest) for action, resource, row, *rest in await session.execute(query)
    )


async def number(session: AsyncSession, key_id: int, since: int, *, at_most: int) -> int:
    """The number of decisions of the key from `since` on, at most `at_most`."""
    of_key = select(_decisions.c.id).where(_decisions.c.key_id == key_id, _decisions.c.at >= since).limit(at_most)
    return int((await session.execute(select(func.count()).select_from(of_key.subquery()))).scalar_one())


async def oldest(session: AsyncSession) -> datetime | None:
    """The time of the oldest decision in the log; None without any."""
    found: int | None = (await session.execute(select(func.min(_decisions.c.at)))).scalar()
    return None if found is None else time_of(found)


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
