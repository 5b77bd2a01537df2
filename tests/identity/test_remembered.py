"""A token seen before is known at once, and refused as any other when its time or its key is over."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.identity.errors import CannotVerify, Fault, Unauthenticated
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from app.identity.principal import user
from app.identity.remembered import MAX_LENGTH, MAX_TOKENS, Remembered
from tests.identity.clock import Clock
from tests.issuer import LiveIssuer
from tests.server import AUDIENCE

pytestmark = pytest.mark.anyio


def verifier_of(keys: KeySet, issuer: LiveIssuer) -> JwtVerifier:
    return JwtVerifier(keys, issuer.url, AUDIENCE)


async def test_a_token_seen_before_is_the_same_principal(issuer: LiveIssuer) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        verifier = verifier_of(keys, issuer)
        token = issuer.token(permissions=["catalog:read"])
        first = await verifier.verify(token)
        assert await verifier.verify("".join(list(token))) is first
        another = await verifier.verify(issuer.token(permissions=["catalog:write"]))
        assert another.held != first.held


async def test_a_token_expires_while_it_is_remembered(issuer: LiveIssuer) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        verifier = verifier_of(keys, issuer)
        ends = int(time.time()) + 2
        token = issuer.token(exp=ends)
        assert await verifier.verify(token) is await verifier.verify(token)
        await asyncio.sleep(ends - time.time() + 0.01)
        with pytest.raises(Unauthenticated) as refused:
            await verifier.verify(token)
        assert refused.value.fault is Fault.EXPIRED


async def test_a_token_is_not_known_before_its_time_whatever_the_clock_did(issuer: LiveIssuer) -> None:
    """As when the clock of the server is set back after it was seen."""
    now = int(time.time())
    async with KeySet(issuer.jwks_url) as keys:
        key = await keys.find(issuer.kid)
        assert key
        for claim in ("nbf", "iat"):
            remembered = Remembered(keys)
            remembered.add(b"token", user("u", [], {}), issuer.kid, key, {claim: now + 60, "exp": now + 120})
            assert remembered.get(b"token") is None
            remembered.add(b"token", user("u", [], {}), issuer.kid, key, {claim: now - 60, "exp": now + 120})
            assert remembered.get(b"token")


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
    claims = {"exp": time.time() + 300}
    async with KeySet(issuer.jwks_url) as keys:
        key = await keys.find(issuer.kid)
        assert key
        remembered = Remembered(keys)
        for number in range(MAX_TOKENS + 1):
            remembered.add(b"token %d" % number, user("u", [], {}), issuer.kid, key, claims)
        assert remembered.get(b"token 0") is None
        assert remembered.get(b"token 1")
        assert remembered.get(b"token %d" % MAX_TOKENS)
        remembered.add(b"a" * (MAX_LENGTH + 1), user("u", [], {}), issuer.kid, key, claims)
        assert remembered.get(b"a" * (MAX_LENGTH + 1)) is None
        assert remembered.get(b"token 1"), "what is not remembered drops nothing"
