"""Finds which callers named by rows are known to exist, from the decision log and the keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.tables.base import table_of
from app.db.tables.decisions import LoggedDecision
from app.db.tables.keys import ApiKey

MAX_FACTS = 1_000  # each costs an indexed query
# The newest decisions of a caller that are read: all of them may be of its keys, or of AuthZEN requests about it.
MAX_ROWS = 10_000
_LARGEST_ID = 2**63 - 1
_decisions = table_of(LoggedDecision)
_keys = table_of(ApiKey)


async def seen_callers(session: AsyncSession, facts: Iterable[str]) -> frozenset[str]:
    """The `user:` and `key:` facts whose callers have presented valid credentials; only active keys count.

    A subject of AuthZEN requests has presented none. Facts beyond MAX_FACTS count as unseen.
    """
    found = set()
    for fact in sorted(facts)[:MAX_FACTS]:
        family, _, name = fact.partition(":")
        if await (_key_seen(session, int(name)) if family == "key" else _user_seen(session, name)):
            found.add(fact)
    return frozenset(found)


async def _user_seen(session: AsyncSession, subject: str) -> bool:
    """Whether a token of the user was verified; its keys may outlive its access, so they prove nothing."""
    return await _is_logged(session, _decisions.c.subject == subject, "jwt")


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
    return row.last_used_at is not None or await _is_logged(session, _decisions.c.key_id == key_id, "api_key")


async def _is_logged(session: AsyncSession, caller: ColumnElement[bool], method: str) -> bool:
    newest = (
        select(_decisions.c.door, _decisions.c.method)
        .where(caller)
        .order_by(_decisions.c.at.desc(), _decisions.c.id.desc())
        .limit(MAX_ROWS)
        .subquery()
    )
    query = select(newest.c.door).where(newest.c.door != "authzen", newest.c.method == method).limit(1)
    return await session.scalar(query) is not None
