"""A session of the console has the organization in which its user signed in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.console import cookies
from app.console.entrance import ConsoleEntrance
from app.db import console_sessions
from app.db.session import Sessions
from app.identity.organization import Organization
from app.identity.principal import stored_act
from app.policy.language.when.context import subject_of
from tests.console.sessions import NONE_RESERVED

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("organization", [Organization("org_1", "admin", "acme"), Organization("org_1"), None])
async def test_a_session_keeps_the_organization(sessions: Sessions, organization: Organization | None) -> None:
    token, now = cookies.new_token(), datetime.now(UTC)
    async with sessions() as session:
        await console_sessions.insert(
            session,
            digest=cookies.digest(token),
            subject="user_ann",
            name="Ann",
            permissions=["catalog:read", "org:org_9"],
            organization=organization,
            now=now,
            expires_at=now + timedelta(minutes=1),
        )
        await session.commit()
        stored = (await session.execute(text("SELECT organization FROM console_sessions"))).scalar_one()
    assert (stored is None) is (organization is None), "NULL, as for a session of the previous version"
    found = await ConsoleEntrance(None, sessions, NONE_RESERVED).verify(token)
    assert found.organization == organization
    assert found.impersonator is None
    facts = organization.facts if organization else ()
    assert {grant for grant in found.held if grant.startswith("org")} == set(facts)


@pytest.mark.parametrize(
    ("act", "stored"),
    [
        ({"iss": "https://i.example", "sub": "user_support"}, {"iss": "https://i.example", "sub": "user_support"}),
        ({"sub": "user\x00" + "x" * 300, "more": {"any": 1}}, {"sub": "user\ufffd" + "x" * 250}),
        ({"client_id": "support"}, {"sub": "unknown"}),
        ({}, {"sub": "unknown"}),
        ("user_support", {"sub": "unknown"}),
        (None, None),
    ],
)  # fmt: skip
async def test_a_session_keeps_who_acts_as_its_user(
    sessions: Sessions, act: object, stored: dict[str, str] | None
) -> None:
    assert stored_act({"act": act}) == stored
    token, now = cookies.new_token(), datetime.now(UTC)
    async with sessions() as session:
        await console_sessions.insert(
            session,
            digest=cookies.digest(token),
            subject="user_ann",
            name="Ann",
            permissions=[],
            act=stored_act({"act": act}),
            now=now,
            expires_at=now + timedelta(minutes=1),
        )
        await session.commit()
    found = await ConsoleEntrance(None, sessions, NONE_RESERVED).verify(token)
    assert found.impersonator == (stored["sub"] if stored else None)
    assert dict(subject_of(found, found.held)["act"]) == (stored or {})
