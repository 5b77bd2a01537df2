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
    found = await ConsoleEntrance(None, sessions).verify(token)
    assert found.organization == organization
    facts = organization.facts if organization else ()
    assert {grant for grant in found.held if grant.startswith("org")} == set(facts)
