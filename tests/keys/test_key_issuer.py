"""Issuing and rotating keys without HTTP: each rule raises its own error, and nothing is stored then."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.audit.actor import actor_of
from app.db.disk import FULL, DiskShortage, DiskSpace
from app.db.session import Sessions
from app.identity.budget import Budget, BudgetSpent
from app.identity.principal import user_principal
from app.keys import api_keys
from app.keys.issuer import KeyIssuer, KeyLimits, KeyOrder
from app.keys.owner import personal
from app.keys.refusals import (
    InvalidKeyOrder,
    KeyConflict,
    NoSuchKey,
    OrderFault,
    OwnerBlocked,
    ScopesNotHeld,
)
from app.oauth.people_blocks import block_person, unblock_person
from app.policy.engine.live import LivePolicy
from tests.policy import small
from tests.policy.shipped import write

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ROWS = (
    "p, anyone, /x, GET|POST, allow",
    "p, anyone, /x/{id}, GET, allow",
    "p, anyone, /y, GET, allow",
    "g, role:reader, a:read",
    "g, user:ann, role:reader",
)
ANN = user_principal("ann", ["b:read"], {})
BY = actor_of(ANN, "request-1", "revision")


class Keys:
    """The keys of a user in a database."""

    def __init__(self, sessions: Sessions, directory: Path, *, most: int = 2, days: int | None = 30) -> None:
        self.sessions = sessions
        self.disk = DiskSpace(f"sqlite:///{directory}/authz.db")
        self.forgotten: list[int] = []
        self.budget = Budget(6, clock=lambda: 0.0)
        live = LivePolicy(write(directory, small.files(*ROWS)), small.TABLE)
        self.issuer = KeyIssuer(
            live,
            self.disk,
            KeyLimits(("live",), most, days),
            check_budget=self._check_budget,
            invalidate=self.forgotten.append,
        )

    def _check_budget(self, owner: str) -> None:
        if wait := self.budget.spend(owner):
            raise BudgetSpent(wait)

    async def issue(
        self, *scopes: str, ends: datetime | None = None, environment: str = "live", now: datetime = NOW
    ) -> int:
        async with self.sessions() as session:
            new = await self.issuer.issue(session, personal(ANN), KeyOrder("k", environment, scopes, ends), now, by=BY)
            assert new.plaintext.startswith(new.key.key_prefix)
            assert new.plaintext not in repr(new)
            return new.key.id

    async def rotate(self, key_id: int | None, *, grace: int = 60, now: datetime = NOW) -> int:
        async with self.sessions() as session:
            new, old = await self.issuer.rotate(session, personal(ANN), key_id, grace_seconds=grace, now=now, by=BY)
            assert old.id == key_id
            return new.key.id

    async def revoke(self, key_id: int | None) -> None:
        async with self.sessions() as session:
            await self.issuer.revoke(session, personal(ANN), key_id, now=NOW, by=BY)

    async def ids(self) -> Sequence[int]:
        async with self.sessions() as session:
            return sorted(key.id for key in await api_keys.list_for(session, "ann"))


@pytest.fixture
def keys(sessions: Sessions, tmp_path: Path) -> Keys:
    return Keys(sessions, tmp_path / "policies")


async def test_a_key_lives_no_longer_than_keys_may(keys: Keys) -> None:
    first = await keys.issue("a:read", "b:read")
    second = await keys.issue("b:read", ends=NOW + DAY)
    async with keys.sessions() as session:
        assert (await api_keys.own_key(session, "ann", first)).expires_at == NOW + 30 * DAY
        assert (await api_keys.own_key(session, "ann", second)).expires_at == NOW + DAY
        # Of what the token states now, a key remembers what its scopes need.
        assert (await api_keys.own_key(session, "ann", first)).token_grants == ["b:read"]


@pytest.mark.parametrize(
    ("scopes", "ends", "environment", "fields"),
    [
        (("a:none",), None, "live", ["scopes"]),
        (("a:read", "a:read"), None, "live", ["scopes"]),
        (("a:read", "x", "x"), NOW, "test", ["scopes", "scopes", "scopes", "environment", "expires_at"]),
        ((), NOW - DAY, "live", ["expires_at"]),
        ((), NOW + 30 * DAY + timedelta(seconds=1), "live", ["expires_at"]),
    ],
)
async def test_an_invalid_order_has_a_fault_for_each_field(
    keys: Keys, scopes: tuple[str, ...], ends: datetime | None, environment: str, fields: list[str]
) -> None:
    with pytest.raises(InvalidKeyOrder) as refused:
        await keys.issue(*scopes, ends=ends, environment=environment)
    assert [fault.field for fault in refused.value.faults] == fields
    assert all(isinstance(fault, OrderFault) and fault.message in str(refused.value) for fault in refused.value.faults)
    assert await keys.ids() == []


async def test_a_key_never_holds_more_than_its_owner(keys: Keys) -> None:
    with pytest.raises(ScopesNotHeld) as refused:
        await keys.issue("a:read", "c:read", "a:write")
    assert refused.value.scopes == ("a:write", "c:read")
    assert await keys.ids() == []


async def test_limits_of_an_owner(keys: Keys) -> None:
    first, _ = await keys.issue(), await keys.issue()
    with pytest.raises(KeyConflict, match="You have 2 active API keys"):
        await keys.issue()
    second = await keys.rotate(first)
    await keys.rotate(second)
    third = (await keys.ids())[-1]
    with pytest.raises(KeyConflict, match="2 rotated API keys that are still valid"):
        await keys.rotate(third)
    with pytest.raises(BudgetSpent):
        await keys.rotate(third, grace=0)
    assert keys.forgotten == [first, second]


async def test_a_full_disk_refuses_new_keys_first(keys: Keys) -> None:
    key = await keys.issue()
    keys.disk.note(OSError(errno.ENOSPC, "full"))
    for refused in (keys.issue("c:read"), keys.rotate(key)):
        with pytest.raises(DiskShortage, match=FULL):
            await refused
    assert await keys.ids() == [key]


async def test_what_cannot_be_rotated(keys: Keys) -> None:
    for unknown in (None, 0, -1, 10**6, 2**63):
        with pytest.raises(NoSuchKey, match="API key not found"):
            await keys.rotate(unknown)
        with pytest.raises(NoSuchKey):
            await keys.revoke(unknown)
    expired, revoked = await keys.issue(ends=NOW + DAY), await keys.issue()
    await keys.revoke(revoked)
    assert keys.forgotten == [revoked]
    for key, now, reason in ((expired, NOW + DAY, "has expired"), (revoked, NOW, "has been revoked")):
        with pytest.raises(KeyConflict, match=f"This key {reason}, so it has no successor: issue a new key"):
            await keys.rotate(key, now=now)
    assert await keys.ids() == [expired, revoked]


async def test_a_person_who_is_blocked_gets_no_key(keys: Keys) -> None:
    before = await keys.issue("b:read")
    async with keys.sessions() as session:
        assert (await block_person(session, "ann", BY, NOW)).keys == 1
    with pytest.raises(OwnerBlocked):
        await keys.issue("b:read")
    with pytest.raises(OwnerBlocked):
        await keys.rotate(before)
    assert await keys.ids() == [before]
    async with keys.sessions() as session:
        await unblock_person(session, "ann", BY, NOW)
    await keys.issue("b:read")


async def test_a_block_ends_the_key_of_a_rotation_that_is_under_way(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await keys.issue("b:read")
    stored, go_on = asyncio.Event(), asyncio.Event()
    async with keys.sessions() as rotating, keys.sessions() as blocking:
        commit = rotating.commit

        async def slow_commit() -> None:
            stored.set()
            await go_on.wait()
            await commit()

        monkeypatch.setattr(rotating, "commit", slow_commit)
        rotation = asyncio.create_task(
            keys.issuer.rotate(rotating, personal(ANN), before, grace_seconds=0, now=NOW, by=BY), name="rotation"
        )
        await stored.wait()
        block = asyncio.create_task(block_person(blocking, "ann", BY, NOW))
        await asyncio.sleep(0.2)  # it waits for the rotation
        go_on.set()
        new, _ = await rotation
        await block
    async with keys.sessions() as session:
        assert (await api_keys.own_key(session, "ann", new.key.id)).revoked_at is not None
