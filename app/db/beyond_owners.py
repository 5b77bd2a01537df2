"""Which API keys hold more than their owner does now, by the policy and by the token that the log saw last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import asked_keys
from app.db.last_grants import LastGrants, last_grants
from app.db.session import Sessions
from app.identity.api_keys import KeyRecord
from app.policy.beyond_owner import BeyondOwner, beyond_owner
from app.policy.snapshot import Snapshot

_AT_ONCE = 200  # keys that are read


@dataclass(frozen=True, slots=True)
class KeyBeyond:
    """A key that holds scopes which its owner does not; `seen` is when a token of the owner was last in the log."""

    id: int
    owner: str
    beyond: BeyondOwner
    seen: datetime | None


async def of_keys(session: AsyncSession, snapshot: Snapshot, keys: Iterable[KeyRecord]) -> list[KeyBeyond]:
    """Those of these keys that hold more than their owner, in their order."""
    seen: dict[str, LastGrants | None] = {}
    found: list[KeyBeyond] = []
    for key in keys:
        by_roles = beyond_owner(snapshot, key)
        if not (by_roles.counting or by_roles.lost):
            continue
        if by_roles.counting and key.subject not in seen:
            seen[key.subject] = await last_grants(session, key.subject)
        last = seen.get(key.subject)
        beyond = beyond_owner(snapshot, key, last.held) if last else by_roles
        if beyond.counting or beyond.lost:
            found.append(KeyBeyond(key.id, key.subject, beyond, last.seen if last else None))
    return found


async def of_all(
    sessions: Sessions, snapshot: Snapshot, *, environments: Collection[str], now: datetime, owner: str | None = None
) -> AsyncIterator[KeyBeyond]:
    """All active keys that hold more than their owner, or those of one owner, by ascending id. Raises CannotVerify."""
    after = 0
    while True:
        some = await asked_keys.active(
            sessions, environments=environments, now=now, after=after, limit=_AT_ONCE, owner=owner
        )
        async with sessions() as session:
            for each in await of_keys(session, snapshot, some):
                yield each
        if len(some) < _AT_ONCE:
            return
        after = some[-1].id
