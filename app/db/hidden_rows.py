"""Rows of a log that readers would miss or confuse although their values are as they were sealed.

Only changes that no program makes lead to them: a filter looks for decisions on the days that their key and its outcome
state, and pages of ids begin above the lowest one.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, FromClause, cast, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.chain.entry import LogName
from app.db.chain_rows import TABLES
from app.db.decision_times import DAY_SECONDS, EPOCH, MAX_SECOND, MIN_SECOND
from app.db.row_order import by_id, dialect_of, id_in, ids_after
from app.db.tables.base import table_of
from app.db.tables.decisions import DecisionKeyRow, DecisionOutcome, DecisionRow

LOWEST_ID = -(2**63)
_rows, _keys, _outcomes = (table_of(model) for model in (DecisionRow, DecisionKeyRow, DecisionOutcome))


async def hidden_ids(session: AsyncSession, after: int, up_to: int, size: int, day: int | None = None) -> Sequence[int]:
    """The first ids in a range of decisions that filters do not find, since their key or its outcome has other days.

    With a `day`, in days since 1970, only those of that day.
    """
    dialect, second = dialect_of(session), _rows.c.second
    joined = _rows.join(_keys, _keys.c.id == _rows.c.decision_key_id).join(
        _outcomes, _outcomes.c.id == _keys.c.outcome_id
    )
    # Without the ends of the range, which stand for all times beyond it.
    low, high = MIN_SECOND + 1, MAX_SECOND - 1
    if day is not None:
        start = day * DAY_SECONDS - EPOCH
        low, high = max(low, min(start, high)), min(high, max(start + DAY_SECONDS - 1, low))
    query = (
        select(_rows.c.id)
        .select_from(joined)
        .where(ids_after(dialect, after, up_to), second.between(low, high))
        .where(or_(_is_beyond(_keys), _is_beyond(_outcomes)))
    )
    return list(await session.scalars(query.order_by(*by_id(dialect)).limit(size)))


def _is_beyond(of: FromClause) -> ColumnElement[bool]:
    first, last = (cast(column, BigInteger) for column in (of.c.first_day, of.c.last_day))
    return or_(_rows.c.second < first * DAY_SECONDS - EPOCH, _rows.c.second >= (last + 1) * DAY_SECONDS - EPOCH)


async def has_lowest_id(session: AsyncSession, log: LogName) -> bool:
    """Whether a row of a log has the lowest id that a database can store."""
    for table in TABLES[log]:
        is_lowest = id_in(dialect_of(session), [LOWEST_ID]) if table is _rows else table.c.id == LOWEST_ID
        if await session.scalar(select(table.c.id).where(is_lowest)) is not None:
            return True
    return False
