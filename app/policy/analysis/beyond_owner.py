"""Keys beyond their owner's reach: scopes that the owner of a key does not hold at present."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from app.identity.api_keys import KeyRecord, principal_of
from app.policy.engine.limited_scopes import owner_grants
from app.policy.engine.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class BeyondOwner:
    """Scopes that the owner does not hold, sorted. `counting` scopes are still in force, `lost` scopes are not."""

    counting: tuple[str, ...]
    lost: tuple[str, ...]


def beyond_owner(snapshot: Snapshot, key: KeyRecord, last_held: Collection[str] = ()) -> BeyondOwner:
    """Find the scopes of a key that its owner lacks. The owner holds its roles and what its last token stated.

    Of an organization no last token is known: what one stated when the key was issued counts as held.
    """
    in_force = snapshot.in_force(principal_of(key).held)
    if key.organization is not None:
        return BeyondOwner(counting=(), lost=tuple(sorted(key.scopes - in_force)))
    owned = owner_grants((f"user:{key.subject}", *last_held), snapshot.policy.roles)
    return BeyondOwner(
        counting=tuple(sorted((key.scopes & in_force) - owned)), lost=tuple(sorted(key.scopes - in_force))
    )
