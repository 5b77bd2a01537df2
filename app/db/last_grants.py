"""The grants of a user's last token, from the decision log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.record import StatedGrants
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet as GrantSetRow
from app.db.tables.decisions import LoggedDecision

# The newest decisions of a user that are read: all of them may be of its API keys.
MAX_ROWS = 1_000
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)


@dataclass(frozen=True, slots=True)
class LastGrants:
    """The grants of a token when it was last seen, and when that was."""

    held: frozenset[str]
    seen: datetime


async def last_grants(session: AsyncSession, subject: str) -> LastGrants | None:
    """The grants of a user's newest token in the log; None if none is among the newest decisions of the user."""
    # The index on the subject has this order, so that no other row of the log is read.
    newest = (
        select(_decisions.c.at, _decisions.c.method, _decisions.c.door, _decisions.c.grant_set_id)
        .where(_decisions.c.subject == subject)
        .order_by(_decisions.c.at.desc(), _decisions.c.id.desc())
        .limit(MAX_ROWS)
        .subquery()
    )
    query = (
        select(newest.c.at, _grant_sets.c.digest, _grant_sets.c.grants)
        .join(_grant_sets, newest.c.grant_set_id == _grant_sets.c.id)
        # In AuthZEN requests a service names the user, whose token was not verified.
        .where(newest.c.method == "jwt", newest.c.door != "authzen")
        .order_by(newest.c.at.desc())
        .limit(1)
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    held = StatedGrants(row.digest, row.grants).held_by(subject, None)
    return LastGrants(held, datetime.fromtimestamp(row.at / 1_000_000, UTC))
