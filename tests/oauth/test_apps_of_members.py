"""The token of an app has the organization of its user's last sign-in, on the side of the user."""

from __future__ import annotations

import re

import pytest

from app.db.session import Sessions
from app.identity.access_token_verifier import AccessTokenVerifier
from app.identity.organization import Organization
from app.identity.principal import Principal
from app.oauth.access_tokens import access_token_lookup
from app.oauth.people import note_sign_in
from tests.console.browsing import Browser
from tests.console.sessions import sign_in
from tests.oauth.asking import ask
from tests.oauth.flows import NOW, SCOPES, new_flow
from tests.oauth.served import ServedApp
from tests.support.server import Server

pytestmark = pytest.mark.anyio


async def test_the_organization_is_that_of_the_last_sign_in(sessions: Sessions, url: str) -> None:
    flow = await new_flow(sessions, url)
    token = (await flow.redeem(await flow.consent())).access_token

    async def principal() -> Principal:
        verifier = AccessTokenVerifier(
            access_token_lookup(flow.sessions), cache_seconds=60, on_accepted=lambda _: None, now=lambda: NOW
        )
        return await verifier.look_up(verifier.parse(token))

    assert (await principal()).organization is None
    for organization in (Organization("org_1", "admin", "acme"), Organization("org_2"), None):
        async with flow.sessions() as session:
            await note_sign_in(session, "user_ann", SCOPES, NOW, organization)
            await session.commit()
        found = await principal()
        assert found.organization == organization
        facts = {grant for grant in found.held if "::org" in grant}
        assert facts == {f"on-behalf::{fact}" for fact in (organization.facts if organization else ())}
        assert not any(grant.startswith("org") for grant in found.held), "the app is no member"


def test_the_page_names_the_organization_in_which_the_app_acts(visitor: Browser, app_server: Server) -> None:
    app = ServedApp(app_server)
    for organization, text in (
        (Organization("org_2a", "admin", "acme"), "in the organization acme org_2a. The app acts in the one"),
        (Organization("org_2b"), "in the organization org_2b. The app acts in the one"),
        (None, "You are signed in as Test Person (user_ann)."),
    ):
        member = sign_in(app_server, "user_ann", ["catalog:read"], organization=organization)
        visitor.http.cookies.set("authz", member.token)
        shown = visitor.get(ask(visitor, app).headers["location"]).text
        assert text in re.sub(r"<[^>]+>", "", shown)
