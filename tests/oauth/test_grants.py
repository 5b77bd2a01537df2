"""What users allowed apps, who is blocked, and the pages of both, on SQLite."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Sessions
from app.http.api.oauth import app_grants, apps, own_grants
from app.oauth.app_grants import page_of_user_grants
from app.oauth.app_list import view_app
from app.oauth.blocked_people import is_known, page_of_blocks
from app.oauth.grants import end_grants, list_grants
from app.oauth.own_grants import NoSuchGrant, end_own_grant, end_own_grants, view_of_grant
from app.oauth.people import PersonBlocked, note_sign_in, require_unblocked
from app.oauth.people_blocks import block_person, subject_fault, unblock_person
from tests.oauth.flows import BY, NOW, Flow, new_flow

pytestmark = pytest.mark.anyio


@pytest.fixture
async def flows(sqlite: tuple[Sessions, str]) -> list[Flow]:
    """Three apps, none with the id of its consent, that user_ann allowed something; user_bob allowed the first."""
    _, *found = [await new_flow(*sqlite) for _ in range(4)]
    for flow in found:
        await flow.consent("user_ann")
    await found[0].consent("user_bob")
    return found


async def ids_of(session: AsyncSession, user: str, before: int | None = None, limit: int = 9) -> list[int]:
    return [each.grant.id for each in await list_grants(session, user, before=before, limit=limit)]


async def test_the_consents_of_a_user_are_listed_newest_first(flows: list[Flow]) -> None:
    async with flows[0].sessions() as session:
        found = await list_grants(session, "user_ann")
        assert [each.app.client_id for each in found] == [flow.client_id for flow in reversed(flows)]
        third, second, first = (each.grant.id for each in found)
        assert await ids_of(session, "user_ann", limit=2) == [third, second]
        assert await ids_of(session, "user_ann", before=third) == [second, first]
        assert await ids_of(session, "user_ann", before=first) == []
        assert await ids_of(session, "user_eve") == []
        shown = view_of_grant(found[0])
        assert (shown.id, shown.host, shown.is_app_enabled, shown.last_used_at) == (third, "app.example", True, None)


async def test_the_consents_to_an_app_are_listed_newest_first(flows: list[Flow]) -> None:
    async with flows[0].sessions() as session:
        found = await page_of_user_grants(session, flows[0].app.id, before=None, limit=9)
        assert [each.user for each in found] == ["user_bob", "user_ann"]
        for before, limit, users in ((None, 1, ["user_bob"]), (found[0].id, 9, ["user_ann"]), (found[1].id, 9, [])):
            page = await page_of_user_grants(session, flows[0].app.id, before=before, limit=limit)
            assert [each.user for each in page] == users
        assert (await view_app(session, flows[0].app, NOW)).grants == 2
        await end_grants(session, "user_bob", NOW)
        assert (await view_app(session, flows[0].app, NOW)).grants == 1
        await end_grants(session, "user_ann", NOW)
        assert (await view_app(session, flows[0].app, NOW)).grants == 0
        assert await page_of_user_grants(session, flows[0].app.id, before=None, limit=9) == []


async def test_a_user_ends_one_of_their_own_consents_or_all(flows: list[Flow]) -> None:
    async with flows[0].sessions() as session:
        (of_bob,) = await ids_of(session, "user_bob")
        third, second, first = await ids_of(session, "user_ann")
        assert first == 1
        for none in (None, 0, -1, of_bob, 10**6, 2**63, 10**30):
            with pytest.raises(NoSuchGrant):
                await end_own_grant(session, "user_ann", none, BY, NOW)
        assert await ids_of(session, "user_ann") == [third, second, first]
        assert await end_own_grant(session, "user_ann", second, BY, NOW) == second
        with pytest.raises(NoSuchGrant):
            await end_own_grant(session, "user_ann", second, BY, NOW)
        assert sorted(await end_own_grants(session, "user_ann", BY, NOW)) == [first, third]
        assert await end_own_grants(session, "user_ann", BY, NOW) == []
        assert await ids_of(session, "user_bob") == [of_bob]


async def test_who_is_blocked_is_listed_newest_first(flow: Flow) -> None:
    async with flow.sessions() as session:
        await note_sign_in(session, "user_ann", [], NOW, None)
        await session.commit()
        for user in ("user_ann", "user_bob", "user_eve"):
            for now in (NOW, NOW + timedelta(minutes=1)):
                assert (await block_person(session, user, BY, now)).blocked_at == NOW, "since the first block"
        blocks = await page_of_blocks(session, before=None, limit=9)
        assert [each.subject for each in blocks] == ["user_eve", "user_bob", "user_ann"]
        assert [each.signed_in_at for each in blocks] == [None, None, NOW]
        for before, limit, users in ((None, 1, ["user_eve"]), (blocks[1].id, 9, ["user_ann"]), (blocks[2].id, 9, [])):
            assert [each.subject for each in await page_of_blocks(session, before=before, limit=limit)] == users
        assert [await is_known(session, user) for user in ("user_ann", "user_bob", "user_zoe")] == [True, False, False]
        with pytest.raises(PersonBlocked):
            await note_sign_in(session, "user_bob", [], NOW, None)
        await session.rollback()
        assert (await unblock_person(session, "user_bob", BY, NOW)).blocked_at is None
        await require_unblocked(session, "user_bob")
        await session.rollback()
        await require_unblocked(session, "user_zoe")  # who never signed in
        await session.rollback()
        with pytest.raises(PersonBlocked):
            await require_unblocked(session, "user_ann")


@pytest.mark.parametrize(
    ("subject", "is_accepted"),
    [("a", True), ("x" * 255, True), ("org", True), ("", False), ("x" * 256, False), ("a\n", False), ("org:a", False)],
)
def test_what_can_be_the_sub_of_a_user(subject: str, is_accepted: bool) -> None:
    assert (subject_fault(subject) == "") is is_accepted


def test_pages_have_as_many_entries_as_the_api_states() -> None:
    assert (apps.PAGE_SIZE, app_grants.PAGE_SIZE, own_grants.PAGE_SIZE) == (100, 100, 100)
    for listing in (apps.list_apps, app_grants.list_app_grants, own_grants.list_own_grants):
        assert "at most 100" in (listing.fn.__doc__ or "")
