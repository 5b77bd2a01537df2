"""What begins while an administrator blocks the user: it waits, and is then refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlmodel import col

from app.audit.actor import Actor
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.oauth import AppGrant, Person
from app.identity.principal import user_principal
from app.oauth.client_finder import ClientFinder
from app.oauth.consent import ConsentPage, ConsentRefused, Consents, ConsentVisit
from app.oauth.document_clients import DocumentClients
from app.oauth.document_fetch import DocumentFetch
from app.oauth.people import PersonBlocked, note_sign_in, require_unblocked
from app.oauth.requests import OpenRequest, open_request
from app.oauth.resource import resource_of
from app.policy.engine.live import LivePolicy
from tests.oauth.flows import NOW, PUBLIC_URL, REDIRECT, VERIFIER, challenge_of, new_flow
from tests.policy.small import TABLE, files

pytestmark = pytest.mark.anyio
BROWSER = "b" * 43
ROWS = ("p, app-kind:registered, scope:a:read, ask, allow", "p, a:read, /**, GET|POST, allow")


async def during_a_block(sessions: Sessions, act: Callable[[], Coroutine[None, None, None]]) -> None:
    """Do something that must wait until every person is blocked."""
    async with sessions() as blocking:
        await blocking.connection(execution_options=LOCK_FIRST)
        await blocking.execute(update(Person).values(blocked_at=NOW))
        acting = asyncio.create_task(act())
        await asyncio.wait([acting], timeout=0.2)
        assert not acting.done()
        await blocking.commit()
    await acting


async def test_no_party_begins_to_act_as_a_person_who_is_blocked_at_the_same_time(sessions: Sessions) -> None:
    async with sessions() as session:
        await note_sign_in(session, "user_ann", [], NOW, None)
        await session.commit()

    async def begin() -> None:
        async with sessions() as session:
            await require_unblocked(session, "user_ann")

    await begin()
    with pytest.raises(PersonBlocked):
        await during_a_block(sessions, begin)


async def test_a_person_who_is_blocked_at_the_same_time_allows_nothing(
    sessions: Sessions, url: str, tmp_path: Path
) -> None:
    (tmp_path / "policies").mkdir()
    live = LivePolicy(tmp_path / "policies", TABLE, files(*ROWS))
    clients = ClientFinder(DocumentClients(DocumentFetch()))
    consents = Consents(PUBLIC_URL, live, clients, resource_of=lambda asked: resource_of(asked, PUBLIC_URL))
    flow = await new_flow(sessions, url)
    asked = {
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
    }
    async with sessions() as session:
        name = await open_request(session, OpenRequest(flow.client_id, asked), "", BROWSER, NOW)
        await note_sign_in(session, "user_ann", ["a:read"], NOW, None)
        await session.commit()
    user = user_principal("user_ann", ["a:read"], {}, session_id=1)
    visit = ConsentVisit(name, BROWSER, user, Actor("user_ann", door="console"), NOW)
    async with sessions() as session:
        page = await consents.show(session, visit)
    assert isinstance(page, ConsentPage)

    async def allow() -> None:
        async with sessions() as session:
            await consents.answer(session, visit, allowed=page.held, version=page.client.version)

    with pytest.raises(ConsentRefused, match="An administrator has blocked you"):
        await during_a_block(sessions, allow)
    async with sessions() as session:
        assert await session.scalar(select(func.count(col(AppGrant.id)))) == 0
