"""Finds which callers named by rows are known to exist, from the decision log and the keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.decision_filters import callers, keys, targets
from app.db.tables.base import table_of
from app.db.tables.decisions import LoggedDecision
from app.db.tables.keys import ApiKey
from app.identity.org_facts import ORG_FACTS

MAX_FACTS = 1_000  # each costs an indexed query
# The keys or decisions of a caller that are read: all of them may be of AuthZEN requests about it.
MAX_ROWS = 10_000
_LARGEST_ID = 2**63 - 1
_former = table_of(LoggedDecision)  # of the previous release: see `app.db.former_decisions`
_keys = table_of(ApiKey)


async def seen_callers(session: AsyncSession, facts: Iterable[str]) -> frozenset[str]:
    """The `user:` and `key:` facts whose callers have presented valid credentials; only active keys count.

    A subject of AuthZEN requests has presented none. Facts beyond MAX_FACTS count as unseen, and so do those of
    organizations, whose members the log does not list.
    """
    found = set()
    for fact in sorted(fact for fact in facts if not fact.startswith(ORG_FACTS))[:MAX_FACTS]:
        family, _, name = fact.partition(":")
        if await (_key_seen(session, int(name)) if family == "key" else _user_seen(session, name)):
            found.add(fact)
    return frozenset(found)


async def _user_seen(session: AsyncSession, subject: str) -> bool:
    """Whether a token of the user was verified; its keys may outlive its access, so they prove nothing."""
    return await _is_logged(session, "subject", subject, "jwt")


async def _key_seen(session: AsyncSession, key_id: int) -> bool:
    if key_id > _LARGEST_ID:
        return False
    row = (
        await session.execute(
            select(_keys.c.revoked_at, _keys.c.expires_at, _keys.c.last_used_at).where(_keys.c.id == key_id)
        )
    ).one_or_none()
    if row is None or row.revoked_at is not None or (row.expires_at and row.expires_at <= datetime.now(UTC)):
        return False
    # The last use is written up to a minute after the log.
    return row.last_used_at is not None or await _is_logged(session, "key_id", key_id, "api_key")


async def _is_logged(session: AsyncSession, column: str, value: str | int, method: str) -> bool:
    """Whether a decision of a door where callers present credentials has this caller and method."""
    read = (
        select(targets.c.door)
        .select_from(
            keys.join(callers, callers.c.id == keys.c.caller_id).join(targets, targets.c.id == keys.c.target_id)
        )
        .where(callers.c[column] == value, callers.c.method == method)
        .limit(MAX_ROWS)
        .subquery()
    )
    if await session.scalar(select(read.c.door).where(read.c.door != "authzen").limit(1)) is not None:
        return True
    newest = (
        select(_former.c.door, _former.c.method)
        .where(_former.c[column] == value)
        .order_by(_former.c.at.desc(), _former.c.id.desc())
        .limit(MAX_ROWS)
        .subquery()
    )
    query = select(newest.c.door).where(newest.c.door != "authzen", newest.c.method == method).limit(1)
    return await session.scalar(query) is not None
