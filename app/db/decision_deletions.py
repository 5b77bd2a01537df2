"""Stores and reads what was deleted because the decision log was too large."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import Select, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.audit.decision_class import DecisionClass
from app.audit.deletions import Deletion
from app.db.absent_decisions import within
from app.db.database_clock import database_now
from app.db.tables.base import table_of
from app.db.tables.decision_volumes import DecisionDeletion

_LONGEST = 600 * 1_000_000  # microseconds of a record, so that a flood makes few
_deletions = table_of(DecisionDeletion)


async def record(connection: AsyncConnection, deletion: Deletion) -> None:
    """Record a deletion in the transaction that deletes, together with those of the last minutes."""
    newest = _newest_first().where(_deletions.c.decision_class == deletion.decision_class).limit(1)
    found = (await connection.execute(newest)).one_or_none()
    values = {
        "last_id": deletion.last_id,
        "first_at": deletion.first_at,
        "last_at": deletion.last_at,
        "count": deletion.count,
        "deleted_at": deletion.deleted_at,
    }
    if found is None or not 0 <= deletion.deleted_at - found.began_at < _LONGEST:
        own = {"decision_class": deletion.decision_class, "began_at": deletion.deleted_at}
        await connection.execute(insert(_deletions).values(**values, **own))
        return
    values["last_id"] = max(values["last_id"], found.last_id)
    values["first_at"] = min(values["first_at"], found.first_at)
    values["last_at"] = max(values["last_at"], found.last_at)
    values["count"] += found._mapping["count"]
    await connection.execute(update(_deletions).where(_deletions.c.id == found.id).values(**values))


async def between(session: AsyncSession, since: int | None, until: int | None) -> Sequence[Deletion]:
    """The deletions of decisions at or after `since` and before `until`, in microseconds since 1970."""
    query = select(_deletions).where(*within(_deletions.c, since, until)).order_by(_deletions.c.id)
    return [_deletion(row) for row in await session.execute(query)]


async def newest_complete_id(session: AsyncSession) -> int:
    """The id up to which no record can grow any more; 0 if there is none."""
    since = int((await database_now(session)).timestamp() * 1_000_000) - _LONGEST
    first_open = await session.scalar(select(func.min(_deletions.c.id)).where(_deletions.c.began_at > since))
    newest = select(func.max(_deletions.c.id))
    if first_open is not None:
        newest = newest.where(_deletions.c.id < first_open)
    return await session.scalar(newest) or 0


async def following(session: AsyncSession, after: int, limit: int) -> Sequence[tuple[int, Deletion]]:
    """The first records with an id above `after`, each with its id."""
    query = select(_deletions).where(_deletions.c.id > after).order_by(_deletions.c.id).limit(limit)
    return [(row.id, _deletion(row)) for row in await session.execute(query)]


def _deletion(row: Row[Any]) -> Deletion:
    return Deletion(
        cast("DecisionClass", row.decision_class),
        row.last_id,
        row.first_at,
        row.last_at,
        row._mapping["count"],
        row.deleted_at,
    )


def _newest_first() -> Select[Any]:
    return select(_deletions).order_by(_deletions.c.id.desc())
