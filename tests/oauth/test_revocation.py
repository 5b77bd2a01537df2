"""Revocation of a token by its app, in the database."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.db.session import Sessions
from app.db.tables.oauth import AccessToken, TokenFamily
from app.identity.oauth_tokens import mint_token
from app.oauth.clients import find_client
from app.oauth.errors import OAuthError
from app.oauth.revocation import revoke_token
from tests.oauth.flows import NOW, Flow, fault_of, new_flow

pytestmark = pytest.mark.anyio
LATER = NOW + timedelta(minutes=1)


async def revoke(flow: Flow, token: str | None, now: datetime = NOW, by: Flow | None = None) -> int | None:
    assert token is not None
    async with flow.sessions() as session:
        client = await find_client(session, (by or flow).client_id, now)
        assert client is not None
        await session.rollback()
        return await revoke_token(session, client, token, now)


async def test_an_access_token_ends_alone_and_a_refresh_token_with_its_family(flow: Flow) -> None:
    first = await flow.redeem(await flow.consent())
    second, other = await flow.refresh(first.refresh_token), await flow.redeem(await flow.consent())
    assert await revoke(flow, first.access_token) == 1
    states = [await fault_of(flow, each.access_token) for each in (first, second, other)]
    assert states == ["token_revoked", None, None]
    assert await revoke(flow, second.refresh_token) == 1
    states = [await fault_of(flow, each.access_token) for each in (first, second, other)]
    assert states == ["token_revoked", "token_revoked", None]


async def test_a_second_revocation_leaves_the_time_of_the_end(flow: Flow) -> None:
    issued = await flow.redeem(await flow.consent())
    for now in (NOW, LATER):
        for token in (issued.access_token, issued.refresh_token):
            assert await revoke(flow, token, now) == 1
    async with flow.sessions() as session:
        assert await session.scalar(select(col(AccessToken.revoked_at))) == NOW
        assert await session.scalar(select(col(TokenFamily.revoked_at))) == NOW


async def test_an_unknown_token_is_no_error_and_one_of_another_app_is(flow: Flow, sqlite: tuple[Sessions, str]) -> None:
    for unknown in (mint_token("access"), mint_token("refresh"), mint_token("code"), "x"):
        assert await revoke(flow, unknown) is None
    issued, other = await flow.redeem(await flow.consent()), await new_flow(*sqlite)
    for token in (issued.access_token, issued.refresh_token):
        with pytest.raises(OAuthError, match="belongs to another app") as refused:
            await revoke(flow, token, by=other)
        assert refused.value.code == "invalid_grant"
    assert await fault_of(flow, issued.access_token) is None
    assert await flow.code_of_refresh(issued.refresh_token) is None
