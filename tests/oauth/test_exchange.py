"""Tokens for codes and refresh tokens: what is accepted, what ends a family, and what happens at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.db.session import Sessions
from app.identity.access_token_verifier import AccessTokenVerifier, AppRecord
from app.identity.oauth_tokens import has_shape, mint_token
from app.identity.principal import delegated_principal
from app.identity.token_format import DEFAULT_PREFIX
from app.oauth.access_tokens import access_token_lookup
from app.oauth.codes import redeem_code, scopes_at
from app.oauth.errors import BadClientSecret, OAuthError
from app.oauth.grants import find_grant
from app.oauth.people import find_person
from app.oauth.token_families import find_family
from app.token_prefixes import use_token_prefixes
from tests.oauth.flows import NOW, PUBLIC_URL, REDIRECT, SCOPES, VERIFIER, Flow, fault_of, new_flow, refused

pytestmark = pytest.mark.anyio

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
OTHER_VERIFIER = "another-verifier-of-forty-three-characters-xx"


async def run(flow: Flow, statement: str) -> None:
    async with flow.sessions() as session:
        await session.execute(text(statement))
        await session.commit()


async def test_a_code_gives_tokens_once(flow: Flow) -> None:
    issued = await flow.redeem(await flow.consent())
    assert has_shape(issued.access_token, "access")
    assert issued.refresh_token is not None
    assert has_shape(issued.refresh_token, "refresh")
    assert (issued.scopes, issued.expires_in) == (SCOPES, 900)
    assert issued.access_token not in repr(issued)
    verifier = AccessTokenVerifier(
        access_token_lookup(flow.sessions), cache_seconds=60, on_accepted=lambda _: None, now=lambda: NOW
    )
    principal = await verifier.look_up(verifier.parse(issued.access_token))
    app = AppRecord(flow.client_id, "registered", "app.example")
    expected = delegated_principal(
        "user_ann", app, SCOPES, SCOPES, expires_at=NOW + timedelta(minutes=15), resource=PUBLIC_URL
    )
    assert principal == expected
    assert await fault_of(flow, issued.access_token, timedelta(minutes=15) - SECOND) is None
    assert await fault_of(flow, issued.access_token, timedelta(minutes=15)) == "expired"


async def test_nothing_is_stored_in_the_clear(flow: Flow) -> None:
    code = await flow.consent()
    issued = await flow.redeem(code)
    async with flow.sessions() as session:
        for table in ("oauth_codes", "oauth_families", "oauth_access_tokens", "oauth_refresh_tokens", "oauth_changes"):
            stored = repr((await session.execute(text(f"SELECT * FROM {table}"))).all())
            for token in (code, issued.access_token, issued.refresh_token or ""):
                assert token[8:] not in stored
                assert token.encode().hex() not in stored


WRONG_CODES: tuple[tuple[dict[str, str], str], ...] = (
    ({"code_verifier": OTHER_VERIFIER}, "invalid_grant"),
    ({"code_verifier": VERIFIER + "x"}, "invalid_grant"),
    ({"code_verifier": "short"}, "invalid_grant"),
    ({"code_verifier": "ü" * 50}, "invalid_grant"),
    ({"redirect_uri": "https://app.example/other"}, "invalid_grant"),
    ({"redirect_uri": REDIRECT + "/"}, "invalid_grant"),
    ({"code": mint_token("code")}, "invalid_grant"),
    ({"code": mint_token("access")}, "invalid_grant"),
    ({"code": "x"}, "invalid_grant"),
    ({"grant_type": "password"}, "unsupported_grant_type"),
    ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
)


async def test_what_a_code_needs(flow: Flow) -> None:
    stated = {
        "grant_type": "authorization_code",
        "code": await flow.consent(),
        "code_verifier": VERIFIER,
        "redirect_uri": REDIRECT,
    }
    for form, error in WRONG_CODES:
        assert await refused(flow.send(NOW, **{**stated, **form})) == error, form
    for missing in ("grant_type", "code", "code_verifier"):
        rest = {name: stated[name] for name in stated if name != missing}
        assert await refused(flow.send(NOW, **rest)) == "invalid_request"
    await flow.send(NOW, **stated)  # none of these uses the code up


async def test_five_wrong_verifiers_end_a_code(flow: Flow) -> None:
    for wrong, works in ((4, True), (5, False)):
        code = await flow.consent()
        for _ in range(wrong):
            assert await refused(flow.redeem(code, code_verifier=OTHER_VERIFIER)) == "invalid_grant"
        if works:
            await flow.redeem(code)
        else:
            assert await refused(flow.redeem(code)) == "invalid_grant"


async def test_a_replayed_code_ends_the_family_only_if_app_and_verifier_are_right(
    flow: Flow, sqlite: tuple[Sessions, str]
) -> None:
    other = await new_flow(*sqlite)
    code = await flow.consent()
    issued = await flow.redeem(code)
    assert await refused(other.redeem(code)) == "invalid_grant"
    assert await refused(flow.redeem(code, code_verifier=OTHER_VERIFIER)) == "invalid_grant"
    assert await fault_of(flow, issued.access_token) is None
    assert await refused(flow.redeem(code, redirect_uri="https://app.example/other")) == "invalid_grant"
    assert await fault_of(flow, issued.access_token) == "token_revoked"
    assert await flow.code_of_refresh(issued.refresh_token) == "invalid_grant"


async def test_a_code_of_another_app_gives_nothing_and_stays_good(flow: Flow, sqlite: tuple[Sessions, str]) -> None:
    other = await new_flow(*sqlite)
    code = await flow.consent()
    for _ in range(6):
        assert await refused(other.redeem(code)) == "invalid_grant"
        assert await refused(other.redeem(code, code_verifier=OTHER_VERIFIER)) == "invalid_grant"
    await flow.redeem(code)


async def test_of_two_uses_of_a_code_at_the_same_time_at_most_one_is_answered(sessions: Sessions, url: str) -> None:
    flow = await new_flow(sessions, url)
    code = await flow.consent()
    answers = await asyncio.gather(*(flow.redeem(code) for _ in range(8)), return_exceptions=True)
    issued = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert len(issued) == 1
    assert {answer.code for answer in answers if isinstance(answer, OAuthError)} == {"invalid_grant"}
    assert await fault_of(flow, issued[0].access_token) == "token_revoked", "the other uses were replays"


async def test_a_refresh_token_of_a_public_app_is_replaced(flow: Flow) -> None:
    first = await flow.redeem(await flow.consent())
    second = await flow.refresh(first.refresh_token)
    assert second.refresh_token not in (None, first.refresh_token)
    assert await flow.code_of_refresh(second.refresh_token) is None
    for token in (first.access_token, second.access_token):
        assert await fault_of(flow, token) is None


async def test_within_the_grace_the_predecessor_gets_three_siblings(flow: Flow) -> None:
    first = await flow.redeem(await flow.consent())
    second = await flow.refresh(first.refresh_token)
    siblings = [await flow.refresh(first.refresh_token, NOW + 29 * SECOND) for _ in range(3)]
    assert await flow.code_of_refresh(first.refresh_token, NOW + 29 * SECOND) == "invalid_grant"
    third = await flow.refresh(siblings[1].refresh_token, NOW + 40 * SECOND)
    # The other siblings are predecessors now, which have a grace of their own.
    assert await flow.code_of_refresh(siblings[2].refresh_token, NOW + 69 * SECOND) is None
    assert await flow.code_of_refresh(second.refresh_token, NOW + 70 * SECOND) == "invalid_grant"
    assert await flow.code_of_refresh(third.refresh_token, NOW + 70 * SECOND) == "invalid_grant", (
        "reuse ended the family"
    )


async def test_a_predecessor_after_the_grace_ends_its_family_alone(flow: Flow) -> None:
    other = await flow.redeem(await flow.consent())
    first = await flow.redeem(await flow.consent())
    second = await flow.refresh(first.refresh_token)
    assert await flow.code_of_refresh(first.refresh_token, NOW + 30 * SECOND) == "invalid_grant"
    assert await flow.code_of_refresh(second.refresh_token, NOW + 30 * SECOND) == "invalid_grant"
    assert await fault_of(flow, second.access_token) == "token_revoked"
    assert await fault_of(flow, other.access_token) is None
    assert await flow.code_of_refresh(other.refresh_token) is None


async def test_an_older_one_ends_its_family_alone_at_any_time(flow: Flow) -> None:
    other = await flow.redeem(await flow.consent())
    tokens = [(await flow.redeem(await flow.consent())).refresh_token]
    for _ in range(5):
        tokens.append((await flow.refresh(tokens[-1])).refresh_token)
    async with flow.sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM oauth_refresh_tokens")) == 3, "older ones are deleted"
    assert await flow.code_of_refresh(tokens[1]) == "invalid_grant"
    assert await flow.code_of_refresh(tokens[-1]) == "invalid_grant"
    assert await flow.code_of_refresh(other.refresh_token) is None


async def test_tokens_with_a_former_prefix_stay_good_and_keep_it(flow: Flow) -> None:
    code, issued = await flow.consent(), await flow.redeem(await flow.consent())
    try:
        use_token_prefixes(["acme", "grd"])
        refreshed = await flow.refresh(issued.refresh_token)
        assert refreshed.refresh_token is not None
        assert issued.refresh_token is not None
        assert refreshed.refresh_token[:24] == issued.refresh_token[:24]
        assert refreshed.access_token.startswith("acme_oat_")
        for token in (refreshed.access_token, issued.access_token):
            assert await fault_of(flow, token) is None
        new = await flow.redeem(code)
        assert (new.refresh_token or "").startswith("acme_ort_")
        again = await flow.refresh(new.refresh_token)
        assert await flow.code_of_refresh(new.refresh_token, NOW + DAY) == "invalid_grant"
        assert await fault_of(flow, again.access_token) == "token_revoked", "the replaced one is recognized"
        use_token_prefixes(["acme"])
        assert await flow.code_of_refresh(refreshed.refresh_token) == "invalid_grant"
        assert await fault_of(flow, issued.access_token) == "no_access_token"
        use_token_prefixes(["acme", "grd"])
        assert await flow.code_of_refresh(refreshed.refresh_token) is None
    finally:
        use_token_prefixes([DEFAULT_PREFIX])


async def test_an_invented_refresh_token_ends_nothing(flow: Flow) -> None:
    issued = await flow.redeem(await flow.consent())
    assert issued.refresh_token is not None
    for invented in (mint_token("refresh"), issued.refresh_token[:20] + "0" * 36, issued.refresh_token + "0", "x"):
        assert await flow.code_of_refresh(invented) == "invalid_grant"
    assert await flow.code_of_refresh(issued.refresh_token) is None


async def test_many_refreshes_at_the_same_time_are_one_rotation_and_its_siblings(sessions: Sessions, url: str) -> None:
    flow = await new_flow(sessions, url)
    issued = await flow.redeem(await flow.consent())
    attempts = (flow.refresh(issued.refresh_token) for _ in range(30))
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    kinds = Counter(answer.code if isinstance(answer, OAuthError) else type(answer).__name__ for answer in answers)
    assert kinds == {"IssuedTokens": 4, "invalid_grant": 26}
    newest = next(answer for answer in answers if not isinstance(answer, BaseException))
    assert await flow.code_of_refresh(newest.refresh_token) is None


async def test_an_app_with_a_secret_keeps_its_refresh_token(sqlite: tuple[Sessions, str]) -> None:
    flow = await new_flow(*sqlite, confidential=True)
    issued = await flow.redeem(await flow.consent())
    for days in (0, 1, 20):
        again = await flow.refresh(issued.refresh_token, NOW + days * DAY)
        assert again.refresh_token is None


@pytest.mark.parametrize("confidential", [False, True])
async def test_wrong_secrets(sqlite: tuple[Sessions, str], *, confidential: bool) -> None:
    flow = await new_flow(*sqlite, confidential=confidential)
    issued = await flow.redeem(await flow.consent())
    wrong: list[str] = [mint_token("secret"), "x", "ü"]
    for secret in wrong:
        with pytest.raises(BadClientSecret):
            await flow.refresh(issued.refresh_token, client_secret=secret)
    assert flow.wrong_secrets == (3 if confidential else 0)
    if confidential:
        flow.wrong_secrets = 10
        with pytest.raises(OAuthError) as spent:
            await flow.refresh(issued.refresh_token, client_secret="x")
        assert spent.value.retry_after == 7
    await flow.refresh(issued.refresh_token)  # good ones are accepted whatever others send


async def test_a_refresh_narrows_and_never_widens(flow: Flow) -> None:
    issued = await flow.redeem(await flow.consent(scopes=["catalog:read", "holdings:read"]))
    for more in ("catalog:write", "catalog:read catalog:write", "catalog:read  holdings:read", "*", "catalog:read\t"):
        assert await refused(flow.refresh(issued.refresh_token, scope=more)) == "invalid_scope"
    with pytest.raises(OAuthError, match="the refresh token is not for"):
        await flow.refresh(issued.refresh_token, scope="catalog:write")
    narrow = await flow.refresh(issued.refresh_token, scope="openid catalog:read offline_access")
    assert narrow.scopes == ("catalog:read",)
    assert (await flow.refresh(narrow.refresh_token)).scopes == SCOPES, "the family keeps what was consented to"


async def test_a_token_is_for_one_resource(flow: Flow) -> None:
    below = f"{PUBLIC_URL}/mcp"
    code = await flow.consent(resource=below)
    stated = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    for others in ([PUBLIC_URL], [below, PUBLIC_URL], ["https://other.example"], [f"{below}/more"]):
        assert await refused(flow.send(NOW, resources=others, **stated)) == "invalid_target"
    issued = await flow.send(NOW, resources=[below, f"{below}/"], **stated)
    for unknown in (mint_token("code"), "x"):
        sent = flow.send(NOW, resources=[below], **{**stated, "code": unknown})
        assert await refused(sent) == "invalid_grant"
    token = {"grant_type": "refresh_token", "refresh_token": issued.refresh_token or ""}
    assert await refused(flow.send(NOW, resources=[PUBLIC_URL], **token)) == "invalid_target"
    await flow.send(NOW, resources=[below], **token)


ENDS = (
    ("UPDATE oauth_grants SET revoked_at = {}", "token_revoked", "invalid_grant"),
    ("UPDATE people SET blocked_at = {}", "token_revoked", "invalid_grant"),
    ("UPDATE oauth_clients SET disabled_at = {}", "token_revoked", "unauthorized_client"),
    ("DELETE FROM people", "unknown_app_token", "invalid_grant"),
    ("DELETE FROM oauth_clients", "unknown_app_token", "invalid_client"),
)


async def test_what_ends_the_access_of_an_app(flow: Flow) -> None:
    for statement, fault, error in ENDS:
        issued, unused = await flow.redeem(await flow.consent()), await flow.consent()
        await run(flow, statement.format("'2026-01-01 00:00:00'"))
        assert await fault_of(flow, issued.access_token) == fault, statement
        assert await refused(flow.refresh(issued.refresh_token)) == error
        assert await refused(flow.redeem(unused)) == error
        for column, table in (("blocked_at", "people"), ("disabled_at", "oauth_clients")):
            await run(flow, f"UPDATE {table} SET {column} = NULL")


async def test_an_app_that_is_disabled_after_it_authenticated_gets_nothing(flow: Flow) -> None:
    issued, unused = await flow.redeem(await flow.consent()), await flow.consent()
    assert issued.refresh_token is not None
    for column, is_ended in (("NULL", False), ("'2026-01-01 00:00:00'", True)):
        await run(flow, f"UPDATE oauth_clients SET disabled_at = {column}")
        async with flow.sessions() as session:
            family = await find_family(session, issued.refresh_token)
            assert family is not None
            assert family.is_ended(NOW) is is_ended
            redeemed = await redeem_code(session, flow.client_id, unused, verifier=VERIFIER, redirect_uri=None, now=NOW)
            assert (redeemed is None) is is_ended


async def test_nothing_is_issued_for_a_user_of_whom_no_sign_in_is_known(flow: Flow) -> None:
    issued, unused = await flow.redeem(await flow.consent()), await flow.consent()
    await run(flow, "UPDATE people SET signed_in_at = NULL")
    assert await flow.code_of_refresh(issued.refresh_token) == "invalid_grant"
    assert await refused(flow.redeem(unused)) == "invalid_grant"


async def test_scopes_are_allowed_for_a_resource(flow: Flow) -> None:
    part = f"{PUBLIC_URL}/seasons"
    await flow.redeem(await flow.consent(scopes=["catalog:read"]))
    await flow.consent(scopes=["holdings:read"], resource=part)
    async with flow.sessions() as session:
        person = await find_person(session, "user_ann")
        assert person is not None
        grant = await find_grant(session, person.subject, flow.app.id)
        assert grant is not None
        assert grant.scopes == ["catalog:read", "holdings:read"]
        for resource, scopes in (
            (PUBLIC_URL, {"catalog:read"}),
            (f"{PUBLIC_URL}/teams", {"catalog:read"}),
            (part, {"catalog:read", "holdings:read"}),
            (f"{part}/7", {"catalog:read", "holdings:read"}),
            (f"{part}7", {"catalog:read"}),
            (f"{PUBLIC_URL}.evil.example", set()),
        ):
            assert await scopes_at(session, grant.id, resource) == scopes, resource


async def test_a_new_consent_to_a_changed_app_ends_what_had_more_scopes(flow: Flow) -> None:
    wide, narrow = await flow.redeem(await flow.consent()), await flow.redeem(await flow.consent(scopes=SCOPES[:1]))
    waiting = await flow.consent()
    flow.app.version = "2"
    new = await flow.redeem(await flow.consent(scopes=SCOPES[:1]))
    assert [await fault_of(flow, each.access_token) for each in (wide, narrow, new)] == ["token_revoked", None, None]
    assert [await flow.code_of_refresh(each.refresh_token) for each in (wide, narrow, new)] == [
        "invalid_grant",
        None,
        None,
    ]
    assert await refused(flow.redeem(waiting)) == "invalid_grant"
    again = await flow.redeem(await flow.consent())
    assert [await fault_of(flow, each.access_token) for each in (narrow, new, again)] == [None] * 3
