"""The cache of tokens: hits, expiry, removed keys and bounds."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.identity.errors import AuthenticationFault, CannotVerify, Unauthenticated
from app.identity.jwk import Keys
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier, single_issuer
from app.identity.principal import user_principal
from app.identity.token_cache import TokenCache, VerifiedToken
from tests.identity.clock import Clock
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio


def verifier_of(keys: KeySet, issuer: LiveIssuer) -> JwtVerifier:
    return single_issuer(keys, issuer.url, (AUDIENCE,))


async def test_a_cached_token_is_the_same_principal(issuer: LiveIssuer) -> None:
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
async def test_the_times_of_a_cached_token_are_checked(issuer: LiveIssuer, stated: dict[str, float], skew: int) -> None:
    now = [950.0]
    claims: dict[str, Any] = {"iat": None, **stated}
    token = issuer.token(**claims)
    begins, ends = stated.get("nbf", 0) - skew, stated["exp"] + skew
    async with KeySet(issuer.jwks_url) as keys:

        def verifier() -> JwtVerifier:
            return single_issuer(keys, issuer.url, (AUDIENCE,), skew_seconds=skew, now=lambda: now[0])

        for moment in (begins - 0.001, begins, begins + 0.001, ends - 0.001, ends, ends + 0.001, ends + 1e6):
            now[0] = 950.0
            experienced = verifier()
            assert await experienced.verify(token) is await experienced.verify(token)
            now[0] = moment
            fault = (
                AuthenticationFault.NOT_VALID_YET
                if "nbf" in stated and moment < begins
                else AuthenticationFault.EXPIRED
                if moment >= ends
                else None
            )
            assert await fault_of(experienced, token) is fault, moment
            assert await fault_of(verifier(), token) is fault, moment


async def fault_of(verifier: JwtVerifier, token: str) -> AuthenticationFault | None:
    try:
        await verifier.verify(token)
    except Unauthenticated as refused:
        return refused.fault
    return None


async def test_a_cached_token_is_refused_when_its_key_is_removed(own: LiveIssuer, clock: Clock) -> None:
    async with KeySet(own.jwks_url, clock=clock) as keys:
        verifier = verifier_of(keys, own)
        token = own.token()
        assert await verifier.verify(token) is await verifier.verify(token)
        own.rotate()
        clock.now += 11
        assert (await verifier.verify(own.token())).subject == "user_test"
        with pytest.raises(Unauthenticated) as refused:
            await verifier.verify(token)
        assert refused.value.fault is AuthenticationFault.SIGNATURE


async def test_another_key_under_the_same_id_does_not_keep_a_cached_token(own: LiveIssuer, clock: Clock) -> None:
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
        assert refused.value.fault is AuthenticationFault.SIGNATURE


async def test_no_cached_token_is_accepted_when_the_key_set_is_too_old(own: LiveIssuer, clock: Clock) -> None:
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


def verified(token: bytes, key_set: KeySet, kid: str, keys: Keys) -> VerifiedToken:
    """A valid token, whose subject is its text."""
    return VerifiedToken(token, user_principal(token.decode(), [], {}), key_set, kid, keys, 0, time.time() + 3600)


async def test_the_cache_of_tokens_is_bounded_and_evicts_the_oldest(issuer: LiveIssuer) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        found = await keys.find(issuer.kid)
        assert found
        cache = TokenCache()
        for number in range(10_000):
            cache.add(verified(b"token %d" % number, keys, issuer.kid, found))
        assert cache.get(b"token 0")
        cache.add(verified(b"token 10000", keys, issuer.kid, found))
        assert len(cache) == 10_000
        assert cache.get(b"token 0") is None
        assert cache.get(b"token 1")
        assert cache.get(b"token 10000")


async def test_the_cache_of_tokens_is_bounded_in_bytes(issuer: LiveIssuer) -> None:
    lengths = [5_000_000] * 4
    async with KeySet(issuer.jwks_url) as keys:
        found = await keys.find(issuer.kid)
        assert found
        for more, left in ((0, 4), (1, 3)):
            cache = TokenCache()
            tokens = [b"%d" % number * (length // 2) for number, length in enumerate(lengths, 10)]
            tokens[-1] += b"x" * more
            for token in tokens:
                for _ in range(3):  # the same token takes no more room
                    cache.add(verified(token, keys, issuer.kid, found))
            assert [cache.get(token) is not None for token in tokens] == [left == 4, True, True, True]
            assert len(cache) == left


async def test_a_token_with_the_end_of_another_is_not_confused_with_it(issuer: LiveIssuer) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        found = await keys.find(issuer.kid)
        assert found
        cache = TokenCache()
        for length, left in ((63, True), (64, False)):
            first, second = (start + b"x" * length for start in (b"a", b"b"))
            for token in (first, second):
                cache.add(verified(token, keys, issuer.kid, found))
                known = cache.get(token)
                assert known
                assert known.subject == token.decode()
            assert (cache.get(first) is not None) is left, "one is cache for each end of 64 characters"


async def test_expired_entries_are_evicted_and_counted(issuer: LiveIssuer) -> None:
    now = [950.0]
    async with KeySet(issuer.jwks_url) as keys:
        verifier = single_issuer(keys, issuer.url, (AUDIENCE,), now=lambda: now[0])
        cache = verifier.cache
        assert (cache.hits, cache.misses, len(cache)) == (0, 0, 0)
        token = issuer.token(exp=1000, iat=None)
        for count in range(3):
            await verifier.verify(token)
            assert (cache.hits, cache.misses, len(cache)) == (count, 1, 1)
        now[0] = 999.9
        assert await fault_of(single_issuer(keys, issuer.url, (AUDIENCE,), now=lambda: now[0]), token) is None
        now[0] = 1000
        assert await fault_of(verifier, token) is AuthenticationFault.EXPIRED
        assert (cache.hits, cache.misses, len(cache)) == (2, 2, 0)
