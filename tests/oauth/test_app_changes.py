"""Reports of changes: whatever statement ends the access of an app, a verifier that cached its token notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.db.change_feed import APP_FEED, follow_changes
from app.db.session import Sessions
from app.identity.access_token_verifier import AccessTokenRecord, AccessTokenVerifier
from app.identity.errors import Unauthenticated
from app.identity.principal import Principal
from app.oauth.access_tokens import access_token_lookup, digest_of
from tests.oauth.flows import NOW, Flow, new_flow

pytestmark = pytest.mark.anyio

EVERY = 0.02
ENDED = "'2026-01-01 00:00:00'"


class Followed:
    """A verifier with a bound of a minute that polls changes every 20 ms and counts its lookups of each token."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.asked = Counter[bytes]()
        look_up = access_token_lookup(flow.sessions)

        async def find(digest: bytes) -> AccessTokenRecord | None:
            self.asked[digest] += 1
            return await look_up(digest)

        self.verifier = AccessTokenVerifier(
            find, cache_seconds=60, on_accepted=lambda _: None, clock=lambda: 0.0, now=lambda: NOW
        )

    async def principal(self, token: str) -> Principal | str:
        """The principal of a token, or the cause of its refusal."""
        credential = self.verifier.parse(token)
        try:
            return self.verifier.cached(credential) or await self.verifier.look_up(credential)
        except Unauthenticated as refused:
            return refused.code

    async def becomes(self, token: str, holds: Callable[[Principal | str], bool]) -> Principal | str:
        """The principal of a token, or the cause of its refusal, once a change was noticed on a busy machine."""
        found = await self.principal(token)
        for _ in range(500):
            if holds(found):
                break
            await asyncio.sleep(EVERY)
            found = await self.principal(token)
        return found

    async def run(self, statement: str) -> None:
        async with self.flow.sessions() as session:
            await session.execute(text(statement))
            await session.commit()
        await asyncio.sleep(5 * EVERY)

    async def until_read(self, subject: str, token: str) -> None:
        """Wait until the changes so far were read: the block of a user with a token is noticed after them."""
        await self.principal(token)
        await self.run(f"UPDATE people SET blocked_at = {ENDED} WHERE subject = '{subject}'")
        assert isinstance(await self.becomes(token, lambda found: isinstance(found, str)), str)
        await self.run(f"UPDATE people SET blocked_at = NULL WHERE subject = '{subject}'")
        assert isinstance(await self.becomes(token, lambda found: isinstance(found, Principal)), Principal)


@pytest.fixture
async def followed(sessions: Sessions, url: str) -> AsyncIterator[Followed]:
    followed, stop = Followed(await new_flow(sessions, url)), asyncio.Event()
    task = asyncio.create_task(
        follow_changes(sessions, APP_FEED, followed.verifier.cache, stop, every_seconds=EVERY, clock=lambda: 0.0)
    )
    yield followed
    stop.set()
    await task


async def test_a_change_by_any_statement_is_noticed(followed: Followed) -> None:
    flow = followed.flow
    revoked = "token_revoked"
    for statement, undo, fault in (
        (f"UPDATE oauth_access_tokens SET revoked_at = {ENDED}", "", revoked),
        (f"UPDATE oauth_families SET revoked_at = {ENDED}", "", revoked),
        (f"UPDATE oauth_grants SET revoked_at = {ENDED}", "", revoked),
        (f"UPDATE people SET blocked_at = {ENDED}", "UPDATE people SET blocked_at = NULL", revoked),
        (f"UPDATE oauth_clients SET disabled_at = {ENDED}", "UPDATE oauth_clients SET disabled_at = NULL", revoked),
        ("DELETE FROM oauth_families", "", "unknown_app_token"),
        ("DELETE FROM oauth_grants", "", "unknown_app_token"),
        ("DELETE FROM people", "", "unknown_app_token"),
        ("DELETE FROM oauth_clients", "", "unknown_app_token"),
    ):
        token = (await flow.redeem(await flow.consent())).access_token
        for _ in range(2):
            assert isinstance(await followed.principal(token), Principal), statement
        await followed.run(statement)
        assert await followed.becomes(token, lambda found: isinstance(found, str)) == fault, statement
        if undo:
            await followed.run(undo)
            assert isinstance(await followed.becomes(token, lambda found: isinstance(found, Principal)), Principal)


async def test_what_the_issuer_grants_changes_with_the_next_sign_in(followed: Followed) -> None:
    flow = followed.flow
    token = (await flow.redeem(await flow.consent())).access_token
    before = await followed.principal(token)
    assert isinstance(before, Principal)
    await flow.consent(permissions=["catalog:read", "keys:write"])
    after = await followed.becomes(token, lambda found: found != before)
    assert isinstance(after, Principal)
    changed = before.held ^ after.held
    assert changed == {"on-behalf::holdings:read", "on-behalf::keys:write"}


async def test_other_users_refreshes_and_uses_invalidate_nothing(followed: Followed) -> None:
    flow = followed.flow
    issued, other = await flow.redeem(await flow.consent()), await flow.redeem(await flow.consent("user_bob"))
    await followed.until_read("user_bob", other.access_token)
    await followed.principal(issued.access_token)
    asked = followed.asked[digest_of(issued.access_token)]
    for minutes in (0, 20):  # the second deletes an expired access token
        other = await flow.refresh(other.refresh_token, NOW + timedelta(minutes=minutes))
    await followed.run(f"UPDATE oauth_grants SET last_used_at = {ENDED}")
    await followed.until_read("user_bob", other.access_token)
    assert isinstance(await followed.principal(issued.access_token), Principal)
    assert followed.asked[digest_of(issued.access_token)] == asked
