"""Issues, rotates and revokes keys of an owner: what one may hold, how long it lives, and how many there may be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import Actor
from app.db.disk import DiskSpace
from app.db.tables.keys import ApiKey
from app.identity.api_keys import mint
from app.identity.impersonation import refuse_impersonation
from app.keys import api_keys
from app.keys.admin_log import record_issue, record_rotation
from app.keys.capacity import count_keys, require_unblocked
from app.keys.owner import KeyOwner
from app.keys.refusals import InvalidKeyOrder, KeyConflict, OrderFault, ScopesNotHeld
from app.keys.revocations import revoke_key_of
from app.keys.status import ACCEPTED, status_of
from app.policy.engine.live import LivePolicy

_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # some drivers cannot encode a later time


@dataclass(frozen=True, slots=True)
class KeyOrder:
    """A key to issue. Without `expires_at` it lives as long as keys may live here."""

    name: str
    environment: str
    scopes: Sequence[str]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just stored. Nothing else has its plaintext."""

    key: ApiKey
    plaintext: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """The environments of keys that are accepted, how many keys an owner may have, and how long a key may live."""

    environments: Collection[str]
    max_active: int
    max_days: int | None

    def latest_end(self, now: datetime) -> datetime | None:
        """When a key that is issued now ends at the latest; None where keys may live without an end."""
        return None if self.max_days is None else now + min(timedelta(days=self.max_days), _LATEST - now)


class KeyIssuer:
    """Issues, rotates and revokes keys of an owner under the active policy.

    `check_budget` counts a new key of an owner and raises BudgetSpent; `invalidate` removes a key from the cache.
    """

    def __init__(
        self,
        live: LivePolicy,
        disk: DiskSpace,
        limits: KeyLimits,
        *,
        check_budget: Callable[[str], None],
        invalidate: Callable[[int], None],
    ) -> None:
        self._live = live
        self._disk = disk
        self._limits = limits
        self._check_budget = check_budget
        self._invalidate = invalidate

    async def issue(
        self, session: AsyncSession, owner: KeyOwner, order: KeyOrder, now: datetime, *, by: Actor
    ) -> NewKey:
        """Store a new key. `by` is the person as the actor of the admin log.

        Raises Impersonated, DiskShortage, InvalidKeyOrder, ScopesNotHeld, BudgetSpent, OwnerBlocked, and KeyConflict if
        the owner has as many keys as it may have.
        """
        refuse_impersonation(by.impersonator)
        self._disk.require_space()
        if faults := self._faults_of(order, now):
            raise InvalidKeyOrder(faults)
        self._check_held(owner, order.scopes)
        self._check_budget(owner.subject)
        await require_unblocked(session, owner.person)
        most = self._limits.max_active
        if (await count_keys(session, owner.subject, now)).active >= most:
            whose = "Your organization has" if owner.organization else "You have"
            raise KeyConflict(f"{whose} {most} active API keys, the most that an owner may have: revoke one first.")
        order = replace(order, expires_at=order.expires_at or self._limits.latest_end(now))
        new = await self._store(session, owner, order, now)
        record_issue(session, by, new.key, now)
        await session.commit()
        return new

    async def rotate(
        self,
        session: AsyncSession,
        owner: KeyOwner,
        key_id: int | None,
        *,
        grace_seconds: int,
        now: datetime,
        by: Actor,
    ) -> tuple[NewKey, ApiKey]:
        """Replace a key of the owner by a new one with the same scopes; returns the new one and the old one.

        Both are accepted for `grace_seconds`, and a key is rotated once. The new one lives as long as the old one was
        issued for, without an end if that had none, but never longer than keys may live; a rotation that shortened the
        life of the old one does not count. All is one transaction; one that is under way must have begun with a write.
        Raises NoSuchKey, and as `issue` does.
        """
        refuse_impersonation(by.impersonator)
        self._disk.require_space()
        await require_unblocked(session, owner.person)
        before = await api_keys.own_key(session, owner.subject, key_id)
        await self._check_rotatable(session, before, now)
        self._check_held(owner, before.scopes)
        self._check_budget(owner.subject)
        if grace_seconds:
            await self._check_superseded(session, owner, now)
        ends = _end_of_successor(before, self._limits.latest_end(now), now)
        old = await api_keys.expire(session, owner.subject, before.id, now, now + timedelta(seconds=grace_seconds))
        if old is None:
            await session.refresh(before)
            await self._check_rotatable(session, before, now)
            raise KeyConflict("This key was revoked a moment ago, so it has no successor: issue a new key.")
        new = await self._store(session, owner, KeyOrder(old.name, old.environment, old.scopes, ends), now)
        old.successor_id = new.key.id
        record_rotation(session, by, old, new.key, now, grace_seconds=grace_seconds)
        await session.commit()
        self._invalidate(old.id)  # a cached record has the former end
        return new, old

    async def revoke(
        self, session: AsyncSession, owner: KeyOwner, key_id: int | None, *, now: datetime, by: Actor
    ) -> ApiKey:
        """Revoke a key of the owner; its next request is refused. Revoking again changes nothing. Raises NoSuchKey."""
        key = await revoke_key_of(session, owner.subject, key_id, by, now)
        self._invalidate(key.id)
        return key

    async def _store(self, session: AsyncSession, owner: KeyOwner, order: KeyOrder, now: datetime) -> NewKey:
        minted, roles = mint(order.environment), self._live.active.policy.roles
        key = await api_keys.insert(
            session,
            subject=owner.subject,
            name=order.name,
            new=minted,
            scopes=order.scopes,
            now=now,
            expires_at=order.expires_at,
            token_grants=owner.token_grants(order.scopes, roles),
            organization=owner.organization.id if owner.organization else None,
            membership_grants=owner.membership_grants(order.scopes, roles),
            created_by=owner.person if owner.organization else None,
        )
        return NewKey(key, minted.plaintext)

    def _faults_of(self, order: KeyOrder, now: datetime) -> list[OrderFault]:
        """The faults of an order that depend on the policy, the limits and the time."""
        limits, catalog = self._limits, self._live.active.policy.catalog
        faults = [
            OrderFault("scopes", f"`{scope}` is not a permission of the catalogue")
            for scope in order.scopes
            if scope not in catalog
        ]
        if len(set(order.scopes)) < len(order.scopes):
            faults.append(OrderFault("scopes", "a permission stands here twice"))
        if order.environment not in limits.environments:
            faults.append(OrderFault("environment", f"keys for {order.environment} are not taken here"))
        latest = limits.latest_end(now)
        if order.expires_at is not None and order.expires_at <= now:
            faults.append(OrderFault("expires_at", "must be in the future"))
        elif order.expires_at is not None and latest is not None and order.expires_at > latest:
            message = f"must be within {limits.max_days} days, the most that a key may live here"
            faults.append(OrderFault("expires_at", message))
        return faults

    def _check_held(self, owner: KeyOwner, scopes: Sequence[str]) -> None:
        if beyond := sorted(set(scopes) - self._live.active.effective(owner.held)):
            raise ScopesNotHeld(beyond)

    async def _check_superseded(self, session: AsyncSession, owner: KeyOwner, now: datetime) -> None:
        """Rotated keys that are still valid do not count as active, but have the same limit."""
        most = self._limits.max_active
        if (await count_keys(session, owner.subject, now)).superseded >= most:
            whose = "Your organization has" if owner.organization else "You have"
            raise KeyConflict(
                f"{whose} {most} rotated API keys that are still valid, the most that an owner may have: revoke one "
                "first, or rotate with `grace_seconds` 0."
            )

    async def _check_rotatable(self, session: AsyncSession, key: ApiKey, now: datetime) -> None:
        if successor := await api_keys.successor_of(session, key):
            status = status_of(successor, now)
            then = "rotate that one" if status in ACCEPTED else f"it is {status}, so issue a new key"
            named = f"key {successor.id} ({successor.key_prefix}…)"
            raise KeyConflict(f"This key was rotated before, and its successor is {named}: {then}.")
        if key.revoked_at is not None:
            raise KeyConflict("This key has been revoked, so it has no successor: issue a new key.")
        if key.expires_at is not None and key.expires_at <= now:
            raise KeyConflict("This key has expired, so it has no successor: issue a new key.")
        if key.environment not in self._limits.environments:
            raise KeyConflict(f"Keys for {key.environment} are no longer taken here: issue a new key.")
        if gone := sorted(set(key.scopes) - set(self._live.active.policy.catalog)):
            raise KeyConflict(f"No longer in the catalogue: {', '.join(gone)}. Issue a new key without.")


def _end_of_successor(key: ApiKey, latest: datetime | None, now: datetime) -> datetime | None:
    """When the successor of a key expires: as long from now as the key was issued for, and no later than `latest`."""
    if key.expires_at is None:
        return latest
    ends = now + min(key.expires_at - key.created_at, _LATEST - now)
    return ends if latest is None else min(ends, latest)
