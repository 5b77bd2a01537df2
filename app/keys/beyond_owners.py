"""Finds API keys that hold more than their owner does now, by the policy and the owner's last token in the log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.db.last_grants import LastGrants, last_grants
from app.db.session import Sessions
from app.identity.api_keys import KeyRecord
from app.keys import subjects
from app.policy.analysis.beyond_owner import beyond_owner
from app.policy.engine.snapshot import Snapshot

_BATCH_SIZE = 200  # keys in a query
_KEYS_AT_ONCE = 10  # which take a third of a millisecond


@dataclass(frozen=True, slots=True)
class KeyBeyondOwner:
    """An active key with scopes that its owner does not hold now.

    `counting` ones are in force until the key ends, since the owner's token stated them when it was issued; `lost` ones
    came from role rows and are not in force. `token_seen` is when a token of the owner was last in the decision log.
    """

    id: int
    owner: str
    counting: tuple[str, ...]
    lost: tuple[str, ...]
    token_seen: datetime | None


async def of_keys(
    session: AsyncSession,
    snapshot: Snapshot,
    keys: Iterable[KeyRecord],
    between_keys: Callable[[], Awaitable[None]] | None = None,
) -> list[KeyBeyondOwner]:
    """The keys that hold more than their owner, in their order.

    `between_keys` is awaited before some of them, and first of all, since to read the keys has taken as long.
    """
    seen: dict[str, LastGrants | None] = {}
    found: list[KeyBeyondOwner] = []
    for number, key in enumerate(keys):
        if between_keys is not None and number % _KEYS_AT_ONCE == 0:
            await between_keys()
        by_roles = beyond_owner(snapshot, key)
        if not (by_roles.counting or by_roles.lost):
            continue
        if by_roles.counting and key.subject not in seen:
            seen[key.subject] = await last_grants(session, key.subject)
        last = seen.get(key.subject)
        beyond = beyond_owner(snapshot, key, last.held) if last else by_roles
        if beyond.counting or beyond.lost:
            seen_at = last.seen if last else None
            found.append(KeyBeyondOwner(key.id, key.subject, beyond.counting, beyond.lost, seen_at))
    return found


async def page(
    sessions: Sessions,
    snapshot: Snapshot,
    *,
    environments: Collection[str],
    now: datetime,
    after: int,
    limit: int,
    owner: str | None = None,
) -> tuple[list[KeyBeyondOwner], int | None]:
    """The keys beyond their owner among the first active keys above an id, and the id to continue after.

    That id is None at the end. Raises CannotVerify.
    """
    some = await subjects.active(sessions, environments=environments, now=now, after=after, limit=limit, owner=owner)
    async with sessions() as session:
        found = await of_keys(session, snapshot, some)
    return found, some[-1].id if len(some) == limit else None


async def of_all(
    sessions: Sessions, snapshot: Snapshot, *, environments: Collection[str], now: datetime, owner: str | None = None
) -> AsyncIterator[KeyBeyondOwner]:
    """All active keys that hold more than their owner, or those of one owner, by ascending id. Raises CannotVerify."""
    after: int | None = 0
    while after is not None:
        found, after = await page(
            sessions, snapshot, environments=environments, now=now, after=after, limit=_BATCH_SIZE, owner=owner
        )
        for each in found:
            yield each
