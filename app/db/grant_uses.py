"""When grants were last used, by the decision log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from sqlalchemy import func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.decision_filters import outcomes
from app.policy.analysis.usage import needs_of

MAX_ROWS = 10_000  # of policies, those that decided last
_EPOCH = date(1970, 1, 1)


async def last_uses(session: AsyncSession) -> Mapping[str, date]:
    """The last day (UTC) on which a row that needs a grant allowed something, by grant, as far as the log has it."""
    last_day = func.max(outcomes.c.last_day)
    query = (
        select(outcomes.c.rule_text, last_day)
        .where(outcomes.c.allowed == true(), outcomes.c.rule_text.is_not(None))
        .group_by(outcomes.c.rule_text)
        .order_by(last_day.desc())
        .limit(MAX_ROWS)
    )
    found: dict[str, date] = {}
    for row, day in await session.execute(query):
        for grant in needs_of(row):
            found.setdefault(grant, _EPOCH + timedelta(days=day))
    return found
