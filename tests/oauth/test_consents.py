"""What users allowed apps, as questions about apps find it: on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest

from app.db.session import Sessions
from app.db.tables.oauth import Person
from app.identity.organization import Organization
from app.oauth.consents import find_consents
from app.oauth.grants import end_grants
from app.oauth.people import find_person, note_sign_in
from tests.oauth.flows import NOW, new_flow

pytestmark = pytest.mark.anyio


async def test_consents_are_found_by_app_and_user(sessions: Sessions, url: str) -> None:
    flow, other = await new_flow(sessions, url), await new_flow(sessions, url)
    await flow.consent("ann", scopes=["catalog:read"], permissions=["catalog:read", "catalog:write"])
    await flow.consent("bob", scopes=["holdings:read"], permissions=[])
    async with sessions() as session:
        await note_sign_in(session, "bob", ["holdings:read"], NOW, Organization("org_1", "admin"))
        await session.commit()
    ann, bob = (flow.client_id, "ann"), (flow.client_id, "bob")
    nothing = [(other.client_id, "ann"), (flow.client_id, "eve"), ("", ""), (flow.client_id, "ann\x00")]
    many = [(flow.client_id, f"user_{number}") for number in range(600)]
    found = await find_consents(sessions, [ann, *many, bob, *nothing])
    assert found.keys() == {ann, bob}
    assert found[ann].scopes == {"catalog:read"}
    assert found[ann].permissions == {"catalog:read", "catalog:write"}
    assert (found[ann].app.client_id, found[ann].app.kind) == (flow.client_id, "registered")
    assert found[ann].organization is None
    assert found[bob].organization == Organization("org_1", "admin")
    async with sessions() as session:
        blocked = await find_person(session, "bob")
        assert isinstance(blocked, Person)
        blocked.blocked_at = NOW
        await session.commit()
    assert (await find_consents(sessions, [ann, bob])).keys() == {ann}
    async with sessions() as session:
        await end_grants(session, "ann", NOW)
        await session.commit()
    assert await find_consents(sessions, [ann, bob]) == {}
    assert await find_consents(sessions, []) == {}
