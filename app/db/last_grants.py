"""The grants of a user's last token, from the decision log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Select, String, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.record import StatedGrants
from app.db.decision_filters import callers, is_on_days_of, keys, targets
from app.db.decision_times import join_time
from app.db.row_order import dialect_of
from app.db.tables.base import table_of
from app.db.tables.decisions import DecisionRow, GrantSet, LoggedDecision

# The keys of a user, and the decisions of the previous release, that are read: those used last.
MAX_KEYS = 1_000
MAX_ROWS = 1_000
_rows = table_of(DecisionRow)
_former = table_of(LoggedDecision)  # of the previous release: see `app.db.former_decisions`
_grant_sets = table_of(GrantSet)
_SUBJECT: BindParameter[str] = bindparam("subject", type_=String)


@dataclass(frozen=True, slots=True)
class LastGrants:
    """The grants of a token when it was last seen, and when that was."""

    held: frozenset[str]
    seen: datetime


async def last_grants(session: AsyncSession, subject: str) -> LastGrants | None:
    """The grants of a user's newest token in the log; None if there is none among what is read."""
    former = (await session.execute(_FORMER_TOKEN, {"subject": subject})).one_or_none()
    token = (await session.execute(_select_token(dialect_of(session)), {"subject": subject})).one_or_none()
    times = [(row.at, row) for row in (former,) if row is not None]
    if token is not None:
        times.append((join_time(token.second, token.microsecond), token))
    if not times:
        return None
    at, row = max(times, key=lambda each: each[0])
    held = StatedGrants(row.digest, row.grants).held_by(subject, None)
    return LastGrants(held, datetime.fromtimestamp(at / 1_000_000, UTC))


# Built once: that takes as long as to run them, and leaves objects in reference cycles.
@cache
def _select_token(dialect: str) -> Select[Any]:
    used = (
        select(*keys.c["id", "first_day", "last_day"], callers.c.grant_set_id)
        .select_from(
            keys.join(callers, callers.c.id == keys.c.caller_id).join(targets, targets.c.id == keys.c.target_id)
        )
        # In AuthZEN requests a service names the user, whose token was not verified.
        .where(callers.c.subject == _SUBJECT, callers.c.method == "jwt", targets.c.door != "authzen")
        .where(callers.c.grant_set_id.is_not(None))
        .order_by(keys.c.last_day.desc())
        .limit(MAX_KEYS)
        .subquery()
    )
    is_own = (_rows.c.decision_key_id == used.c.id) & is_on_days_of(dialect, used)
    newest = select(func.max(_rows.c.second)).where(is_own).correlate(used).scalar_subquery()
    last = select(used, newest.label("second")).order_by(newest.desc().nulls_last()).limit(1).subquery()
    # Within its last second another key may be newer.
    return (
        select(_rows.c.second, _rows.c.microsecond, *_grant_sets.c["digest", "grants"])
        .select_from(last)
        .join(used, used.c.id.is_not(None))
        .join(_rows, is_own & (_rows.c.second == last.c.second))
        .join(_grant_sets, _grant_sets.c.id == used.c.grant_set_id)
        .order_by(_rows.c.microsecond.desc(), _rows.c.id.desc())
        .limit(1)
    )


def _select_former_token() -> Select[Any]:
    # The index on the subject has this order, so that no other row of the log is read.
    newest = (
        select(_former.c.at, _former.c.method, _former.c.door, _former.c.grant_set_id)
        .where(_former.c.subject == _SUBJECT)
        .order_by(_former.c.at.desc(), _former.c.id.desc())
        .limit(MAX_ROWS)
        .subquery()
    )
    return (
        select(newest.c.at, _grant_sets.c.digest, _grant_sets.c.grants)
        .join(_grant_sets, newest.c.grant_set_id == _grant_sets.c.id)
        .where(newest.c.method == "jwt", newest.c.door != "authzen")
        .order_by(newest.c.at.desc())
        .limit(1)
    )


_FORMER_TOKEN = _select_former_token()
