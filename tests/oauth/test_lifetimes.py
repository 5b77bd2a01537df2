"""How long codes, tokens and consents last, and how many there may be: each limit from both of its sides."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlmodel import col

from app.db.session import Sessions
from app.db.tables.oauth import AppGrant
from app.db.tables.oauth_clients import OAuthClient
from app.oauth.errors import OAuthError
from app.oauth.grants import TooManyGrants, end_grants, find_grant, store_grant, touch_grants
from app.oauth.people import find_person, note_sign_in
from tests.oauth.flows import NOW, Flow, fault_of, new_flow, refused

pytestmark = pytest.mark.anyio

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
MINUTE = 60 * SECOND


async def count(flow: Flow, table: str) -> int:
    async with flow.sessions() as session:
        return await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0


async def test_a_code_lives_for_a_minute(flow: Flow) -> None:
    assert await refused(flow.redeem(await flow.consent(), NOW + timedelta(seconds=60))) == "invalid_grant"
    await flow.redeem(await flow.consent(), NOW + timedelta(seconds=59))


async def test_codes_that_were_not_used_are_deleted_a_minute_after_their_end(flow: Flow) -> None:
    used = await flow.redeem(await flow.consent())
    await flow.consent()
    await flow.consent(now=NOW + 2 * MINUTE - SECOND)
    assert await count(flow, "oauth_codes") == 3
    await flow.consent(now=NOW + 2 * MINUTE)
    assert await count(flow, "oauth_codes") == 3, "that of the tokens stays"
    assert await flow.code_of_refresh(used.refresh_token) is None


async def test_a_user_who_was_not_seen_for_a_month_is_refreshed_no_more(flow: Flow) -> None:
    issued, last = await flow.redeem(await flow.consent()), NOW + 30 * DAY - SECOND
    second = await flow.refresh(issued.refresh_token, last)
    assert await flow.code_of_refresh(second.refresh_token, NOW + 30 * DAY) == "invalid_grant"
    await flow.consent(now=NOW + 30 * DAY)  # signs in again
    assert await flow.code_of_refresh(second.refresh_token, NOW + 30 * DAY) is None


@pytest.mark.parametrize(("after", "error"), [(30 * DAY - SECOND, None), (30 * DAY, "invalid_grant")])
async def test_a_refresh_token_ends_after_thirty_days_without_use(
    flow: Flow, after: timedelta, error: str | None
) -> None:
    issued = await flow.redeem(await flow.consent())
    await flow.consent(now=NOW + 20 * DAY)  # the user is seen again
    assert await flow.code_of_refresh(issued.refresh_token, NOW + after) == error


async def test_a_family_ends_after_ninety_days(flow: Flow) -> None:
    token = (await flow.redeem(await flow.consent())).refresh_token
    for days in (29, 58, 87):
        await flow.consent(now=NOW + days * DAY)
        token = (await flow.refresh(token, NOW + days * DAY)).refresh_token
    token = (await flow.refresh(token, NOW + 90 * DAY - SECOND)).refresh_token
    assert await flow.code_of_refresh(token, NOW + 90 * DAY) == "invalid_grant"


async def test_an_access_token_is_known_as_revoked_for_half_an_hour(flow: Flow) -> None:
    of_family = (await flow.redeem(await flow.consent("user_ann"))).access_token
    of_grant = (await flow.redeem(await flow.consent("user_bob"))).access_token
    async with flow.sessions() as session:
        await session.execute(text("UPDATE oauth_families SET revoked_at = :now WHERE id = 1"), {"now": NOW})
        await end_grants(session, "user_bob", NOW)
        await session.commit()
    for after, fault in ((30 * MINUTE - SECOND, "token_revoked"), (30 * MINUTE, "unknown_app_token")):
        for user, token in (("user_ann", of_family), ("user_bob", of_grant)):
            await flow.redeem(await flow.consent(user, now=NOW + after), NOW + after)
            assert await fault_of(flow, token, after) == fault, (user, after)


async def test_beyond_the_limit_the_oldest_family_ends(flow: Flow) -> None:
    issued = [await flow.redeem(await flow.consent()) for _ in range(22)]
    states = [await fault_of(flow, each.access_token) for each in issued]
    assert states == ["token_revoked"] * 2 + [None] * 20


async def test_the_access_tokens_of_a_family_are_bounded(sqlite: tuple[Sessions, str]) -> None:
    flow = await new_flow(*sqlite, confidential=True)
    issued = await flow.redeem(await flow.consent())
    for _ in range(99):
        await flow.refresh(issued.refresh_token)
    for after, wait in ((MINUTE, 840), (15 * MINUTE - 0.1 * SECOND, 1)):
        with pytest.raises(OAuthError) as full:
            await flow.refresh(issued.refresh_token, NOW + after)
        assert full.value.retry_after == wait
    await flow.refresh(issued.refresh_token, NOW + 15 * MINUTE)
    assert await count(flow, "oauth_access_tokens") == 1, "expired ones are deleted"


async def test_a_user_allows_at_most_a_hundred_apps(flow: Flow) -> None:
    async with flow.sessions() as session:
        await note_sign_in(session, "user_ann", [], NOW, None)
        person = await find_person(session, "user_ann")
        assert person is not None
        for number in range(100):
            stored = {
                name: getattr(flow.app, name) for name in ("kind", "name", "redirect_uris", "version", "created_by")
            }
            app = OAuthClient(client_id=f"app_{number}", created_at=NOW, changed_at=NOW, host=None, **stored)
            session.add(app)
            await session.flush()
            await store_grant(session, person, app, ["catalog:read"], NOW)
        with pytest.raises(TooManyGrants):
            await store_grant(session, person, flow.app, ["catalog:read"], NOW)
        await store_grant(session, person, app, ["holdings:read"], NOW)  # more for an app that is allowed already
        await end_grants(session, "user_ann", NOW)
        await store_grant(session, person, flow.app, ["catalog:read"], NOW)


async def test_the_last_use_of_a_consent_is_recorded_once_a_minute(flow: Flow) -> None:
    await flow.consent()
    async with flow.sessions() as session:
        grant = await find_grant(session, "user_ann", flow.app.id)
        assert grant is not None
        for after, recorded in ((SECOND, 1), (61 * SECOND, 1), (62 * SECOND, 62), (121 * SECOND, 62)):
            await touch_grants(session, [grant.id], NOW + after)
            assert await session.scalar(select(col(AppGrant.last_used_at))) == NOW + recorded * SECOND
