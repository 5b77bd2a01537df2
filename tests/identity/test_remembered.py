"""A token seen before is known at once, and refused as any other when its time or its key is over."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.identity.claims import Validity
from app.identity.errors import CannotVerify, Fault, Unauthenticated
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from app.identity.principal import user
from app.identity.remembered import MAX_BYTES, MAX_TOKENS, Remembered
from tests.identity.clock import Clock
from tests.issuer import LiveIssuer
from tests.server import AUDIENCE

pytestmark = pytest.mark.anyio


def verifier_of(keys: KeySet, issuer: LiveIssuer) -> JwtVerifier:
    return JwtVerifier(keys, issuer.url, (AUDIENCE,))


async def test_a_token_seen_before_is_the_same_principal(issuer: LiveIssuer) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        verifier = verifier_of(keys, issuer)
        token = issuer.token(permissions=["catalog:read"])
        first = await verifier.verify(token)
        assert await verifier.verify("".join(list(token))) is first
        another = await verifier.verify(issuer.token(permissions=["catalog:write"]))
        assert another.held != first.held


@pytest.mark.parametrize("skew", [0, 5, 300])
@pytest.mark.parametrize(
    "stated", [{"exp": 1_000}, {"exp": 1_000, "nbf": 900}, {"exp": 1_000.75, "nbf": 900.25, "iat": 990}], ids=str
)
async def test_a_remembered_token_begins_and_ends_at_the_moment_of_a_new_one(
    issuer: LiveIssuer, stated: dict[str, float], skew: int
) -> None:
    now = [950.0]
    claims: dict[str, Any] = {"iat": None, **stated}
    token = issuer.token(**claims)
    begins, ends = stated.get("nbf", 0) - skew, stated["exp"] + skew
    async with KeySet(issuer.jwks_url) as keys:

        def verifier() -> JwtVerifier:
            return JwtVerifier(keys, issuer.url, (AUDIENCE,), skew_seconds=skew, now=lambda: now[0])

        for moment in (begins - 0.001, begins, begins + 0.001, ends - 0.001, ends, ends + 0.001, ends + 1e6):
            now[0] = 950.0
            experienced = verifier()
            assert await experienced.verify(token) is await experienced.verify(token)
            now[0] = moment
            fault = (
                Fault.NOT_VALID_YET
                if "nbf" in stated and moment < begins
                else Fault.EXPIRED
                if moment >= ends
                else None
            )
            assert await fault_of(experienced, token) is fault, moment
            assert await fault_of(verifier(), token) is fault, moment


async def fault_of(verifier: JwtVerifier, token: str) -> Fault | None:
    try:
        await verifier.verify(token)
    except Unauthenticated as refused:
        return refused.fault
    return None


async def test_a_remembered_token_dies_with_the_key_that_signed_it(own: LiveIssuer, clock: Clock) -> None:
    async with KeySet(own.jwks_url, clock=clock) as keys:
        verifier = verifier_of(keys, own)
        token = own.token()
        assert await verifier.verify(token) is await verifier.verify(token)
        own.rotate()
        clock.now += 11
        assert (await verifier.verify(own.token())).subject == "user_test"
        with pytest.raises(Unauthenticated) as refused:
            await verifier.verify(token)
        assert refused.value.fault is Fault.SIGNATURE


async def test_another_key_under_the_same_id_does_not_vouch_for_a_remembered_token(
    own: LiveIssuer, clock: Clock
) -> None:
    async with KeySet(own.jwks_url, clock=clock) as keys:
        verifier = verifier_of(keys, own)
        kid, token = own.kid, own.token()
        assert await verifier.verify(token) is await verifier.verify(token)
        own.rotate()
        status, body = own.publish()
        own.answer = lambda: (status, body.replace(own.kid.encode(), kid.encode()))
        clock.now += 11
        assert await keys.find("made up, to fetch the keys") is None
        assert keys.get(kid)
        with pytest.raises(Unauthenticated) as refused:
            await verifier.verify(token)
        assert refused.value.fault is Fault.SIGNATURE


async def test_nothing_is_known_once_the_key_set_is_too_old(own: LiveIssuer, clock: Clock) -> None:
    async with KeySet(own.jwks_url, clock=clock, refresh_seconds=300, max_stale_seconds=600) as keys:
        verifier = verifier_of(keys, own)
        token = own.token()
        first = await verifier.verify(token)
        own.answer = lambda: (503, b"down")
        clock.now += 300
        assert await verifier.verify(token) is first
        clock.now += 599
        assert await verifier.verify(token) == first
        clock.now += 2
        with pytest.raises(CannotVerify):
            await verifier.verify(token)


async def test_what_is_remembered_is_bounded_and_the_oldest_goes_first(issuer: LiveIssuer) -> None:
    validity = Validity(0, time.time() + 300)
    async with KeySet(issuer.jwks_url) as keys:
        found = await keys.find(issuer.kid)
        assert found
        remembered = Remembered(keys)
        for number in range(MAX_TOKENS + 1):
            remembered.add(b"token %d" % number, user("u", [], {}), issuer.kid, found, validity)
        assert remembered.get(b"token 0") is None
        assert remembered.get(b"token 1")
        assert remembered.get(b"token %d" % MAX_TOKENS)


async def test_all_remembered_tokens_together_are_bounded_in_bytes(issuer: LiveIssuer) -> None:
    validity = Validity(0, time.time() + 300)
    length = MAX_BYTES // 4
    tokens = [b"%d" % number * length for number in range(10, 16)]
    async with KeySet(issuer.jwks_url) as keys:
        found = await keys.find(issuer.kid)
        assert found
        remembered = Remembered(keys)
        for token in tokens:
            for _ in range(3):  # the same once more takes no more room
                remembered.add(token[:length], user("u", [], {}), issuer.kid, found, validity)
        assert [remembered.get(token[:length]) is not None for token in tokens] == [
            False,
            False,
            True,
            True,
            True,
            True,
        ]
