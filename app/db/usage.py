"""What was allowed to one API key, from the decision log."""

from __future__ import annotations

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables.base import table_of
from app.db.tables.decisions import LoggedDecision
from app.policy.usage import Use

_decisions = table_of(LoggedDecision)
_ALIKE = ("action", "resource", "rule_text")


async def uses(session: AsyncSession, key_id: int, since: int) -> tuple[Use, ...]:
    """What was allowed to the key from `since` on, in microseconds since 1970; alike decisions counted together."""
    columns = [_decisions.c[name] for name in _ALIKE]
    query = (
        select(*columns, func.count(), func.max(_decisions.c.at))
        .where(_decisions.c.key_id == key_id, _decisions.c.at >= since, _decisions.c.allowed == true())
        .group_by(*columns)
        .order_by(*columns)
    )
    return tuple(
        Use(action, resource, row or "", *rest) for action, resource, row, *rest in await session.execute(query)
    )


async def oldest(session: AsyncSession) -> int | None:
    """When the oldest decision in the log was made, in microseconds since 1970; None when there is none."""
    found: int | None = (await session.execute(select(func.min(_decisions.c.at)))).scalar()
    return found
