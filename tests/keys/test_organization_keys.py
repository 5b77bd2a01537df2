"""Keys of organizations in the database: who may issue one, what it may have, and what does not end it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from app.audit.actor import Actor, actor_of
from app.db.disk import DiskSpace
from app.db.session import Sessions
from app.identity.api_keys import principal_of
from app.identity.impersonation import Impersonated
from app.identity.organization import Organization
from app.identity.principal import Principal, user_principal
from app.keys import api_keys, subjects
from app.keys.api_keys import record_of
from app.keys.beyond_owners import of_all
from app.keys.issuer import KeyIssuer, KeyLimits, KeyOrder, NewKey
from app.keys.owner import KeyOwner, organization_of, personal
from app.keys.refusals import KeyConflict, NoSuchKey, OwnerBlocked, ScopesNotHeld
from app.keys.revocations import revoke_key_of, revoke_keys_of
from app.oauth.people_blocks import block_person
from app.policy.engine.live import LivePolicy
from tests.policy import small
from tests.policy.shipped import write

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ROWS = (
    "p, anyone, /x, GET|POST, allow",
    "p, anyone, /x/{id}, GET, allow",
    "p, anyone, /y, GET, allow",
    "g, org-role:admin, a:read",
    "g, user:ann, a:write",
)


def member(subject: str, organization: str = "acme", *, act: str | None = None, role: str = "admin") -> Principal:
    claims: dict[str, object] = {"act": {"sub": act}} if act else {}
    return user_principal(
        subject, ("b:read", "c:read"), claims, organization=Organization(organization, role, "", ("b:read",))
    )


ANN, BOB, EVE = member("ann"), member("bob"), member("eve", "other")


def by(user: Principal) -> Actor:
    return actor_of(user, "request-1", "revision")


class Keys:
    """Keys under a small policy in a database."""

    def __init__(self, sessions: Sessions, directory: Path) -> None:
        self.sessions = sessions
        self.live = LivePolicy(write(directory, small.files(*ROWS)), small.TABLE)
        self.issuer = KeyIssuer(
            self.live,
            DiskSpace(f"sqlite:///{directory}/authz.db"),
            KeyLimits(("live",), 2, None),
            check_budget=lambda _: None,
            invalidate=lambda _: None,
        )

    async def issue(self, user: Principal, *scopes: str, owner: KeyOwner | None = None) -> NewKey:
        async with self.sessions() as session:
            owner = owner or organization_of(user, user.organization.id if user.organization else "")
            return await self.issuer.issue(session, owner, KeyOrder("k", "live", scopes), NOW, by=by(user))

    async def rotate(self, user: Principal, key_id: int) -> NewKey:
        async with self.sessions() as session:
            owner = organization_of(user, user.organization.id if user.organization else "")
            new, _ = await self.issuer.rotate(session, owner, key_id, grace_seconds=0, now=NOW, by=by(user))
            return new


@pytest.fixture
def keys(sessions: Sessions, tmp_path: Path) -> Keys:
    return Keys(sessions, tmp_path / "policies")


async def test_a_key_names_its_organization_and_the_person_who_issued_it(keys: Keys) -> None:
    key = (await keys.issue(ANN, "a:read", "b:read")).key
    assert (key.subject, key.organization, key.created_by) == ("org:acme", "acme", "ann")
    assert (key.token_grants, key.membership_grants) == ([], ["b:read", "org-role:admin"])
    principal = principal_of(record_of(key))
    assert {"a:read", "b:read"} <= keys.live.active.effective(principal.held)
    async with keys.sessions() as session:
        acts = (await session.execute(text("SELECT author, message, details FROM admin_actions"))).all()
    assert [(act.author, act.message) for act in acts] == [("ann", f"{key.key_prefix} of org:acme")]
    own = (await keys.issue(ANN, "b:read", owner=personal(ANN))).key
    assert (own.subject, own.organization, own.created_by, own.membership_grants) == ("ann", None, None, None)
    assert list(await subjects.owners(keys.sessions, after="", limit=9)) == ["ann"], "an organization is no user"
    assert [each.id async for each in of_all(keys.sessions, keys.live.active, environments=("live",), now=NOW)] == [
        own.id
    ], "what a token stated of the organization is not compared with the person's tokens"


@pytest.mark.parametrize("scope", ["a:write", "c:read"])
async def test_what_the_person_has_besides_cannot_be_given(keys: Keys, scope: str) -> None:
    await keys.issue(ANN, scope, owner=personal(ANN))
    with pytest.raises(ScopesNotHeld):
        await keys.issue(ANN, "b:read", scope)
    with pytest.raises(ScopesNotHeld):
        await keys.issue(member("ann", role="member"), "a:read")


async def test_the_limit_is_that_of_the_organization(keys: Keys) -> None:
    await keys.issue(ANN, owner=personal(ANN))
    first = (await keys.issue(ANN)).key
    await keys.issue(BOB)
    with pytest.raises(KeyConflict, match="Your organization has 2 active API keys"):
        await keys.issue(ANN)
    await keys.issue(EVE)
    await keys.issue(ANN, owner=personal(ANN))
    async with keys.sessions() as session:
        await revoke_key_of(session, "org:acme", first.id, by(BOB), NOW)
    await keys.issue(ANN)


async def test_two_members_at_a_time_do_not_exceed_the_limit(keys: Keys) -> None:
    found = await asyncio.gather(*(keys.issue(member(f"user_{number}")) for number in range(6)), return_exceptions=True)
    assert sum(isinstance(each, NewKey) for each in found) == 2
    assert all(isinstance(each, NewKey | KeyConflict) for each in found), found


async def test_a_key_outlives_the_person_who_issued_it(keys: Keys) -> None:
    key, own = (await keys.issue(ANN, "a:read")).key, (await keys.issue(ANN, owner=personal(ANN))).key
    async with keys.sessions() as session:
        assert (await block_person(session, "ann", by(BOB), NOW)).keys == 1
        assert (await api_keys.own_key(session, "ann", own.id)).revoked_at is not None
        assert (await api_keys.own_key(session, "org:acme", key.id)).revoked_at is None
    for refused in (keys.issue(ANN), keys.rotate(ANN, key.id)):
        with pytest.raises(OwnerBlocked):
            await refused
    successor = (await keys.rotate(BOB, key.id)).key
    assert (successor.created_by, successor.subject, successor.scopes) == ("bob", "org:acme", ["a:read"])


async def test_another_organization_and_a_person_do_not_find_it(keys: Keys) -> None:
    key, own = (await keys.issue(ANN)).key, (await keys.issue(ANN, owner=personal(ANN))).key
    async with keys.sessions() as session:
        for owner, key_id in (("org:other", key.id), ("ann", key.id), ("acme", key.id), ("org:acme", own.id)):
            with pytest.raises(NoSuchKey):
                await api_keys.own_key(session, owner, key_id)
            await session.rollback()
            with pytest.raises(NoSuchKey):
                await revoke_key_of(session, owner, key_id, by(EVE), NOW)
    with pytest.raises(NoSuchKey):
        await keys.rotate(EVE, key.id)


async def test_all_keys_of_an_organization_are_revoked_at_once(keys: Keys) -> None:
    issued = [(await keys.issue(user)).key.id for user in (ANN, BOB)]
    other, own = (await keys.issue(EVE)).key, (await keys.issue(ANN, owner=personal(ANN))).key
    async with keys.sessions() as session:
        assert [each async for each in revoke_keys_of(session, "org:acme", by(BOB), NOW)] == issued
    async with keys.sessions() as session:
        assert (await api_keys.own_key(session, "org:other", other.id)).revoked_at is None
        assert (await api_keys.own_key(session, "ann", own.id)).revoked_at is None


async def test_a_role_that_ends_while_a_key_is_issued_leaves_it_nothing(
    keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, go_on = asyncio.Event(), asyncio.Event()
    async with keys.sessions() as session:
        commit = session.commit

        async def slow_commit() -> None:
            stored.set()
            await go_on.wait()
            await commit()

        monkeypatch.setattr(session, "commit", slow_commit)
        order = KeyOrder("k", "live", ["a:read"])
        issuing = asyncio.create_task(
            keys.issuer.issue(session, organization_of(ANN, "acme"), order, NOW, by=by(ANN)), name="issue"
        )
        await stored.wait()
        write(tmp_path / "policies", small.files(*(row for row in ROWS if not row.startswith("g, org-role"))))
        assert not (await keys.live.reload()).faults
        go_on.set()
        new = await issuing
    assert "a:read" not in keys.live.active.effective(principal_of(record_of(new.key)).held)


async def test_no_key_is_issued_to_a_party_that_acts_as_the_member(keys: Keys) -> None:
    acted = member("ann", act="user_support")
    key = (await keys.issue(ANN)).key
    for refused in (keys.issue(acted), keys.issue(acted, owner=personal(acted)), keys.rotate(acted, key.id)):
        with pytest.raises(Impersonated, match="You act as another user"):
            await refused
