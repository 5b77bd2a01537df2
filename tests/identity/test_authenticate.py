"""A cached caller equals the verified one, in whatever form the header is written."""

from __future__ import annotations

import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import FrameType

import pytest
from structlog.testing import capture_logs

from app.identity.api_keys import KeyRecord, MintedKey, mint
from app.identity.authenticate import Authenticator
from app.identity.errors import AuthenticationFault, Unauthenticated
from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from app.identity.key_verifier import ApiKeyVerifier
from app.identity.principal import ANONYMOUS, Principal
from tests.support.app_tokens import NO_APPS
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio
Headers = list[tuple[bytes, bytes]]


class Keys:
    """A database of keys that counts its lookups."""

    def __init__(self, *keys: tuple[MintedKey, datetime | None, datetime | None]) -> None:
        self.asked = 0
        self._records = {
            new.digest: KeyRecord(number, "owner", "live", frozenset({"catalog:read"}), new.digest, expires, revoked)
            for number, (new, expires, revoked) in enumerate(keys, 1)
        }

    async def find(self, digest: bytes) -> KeyRecord | None:
        self.asked += 1
        return self._records.get(digest)


def cached(authenticator: Authenticator, headers: Headers) -> Principal | AuthenticationFault | None:
    try:
        known = authenticator.cached(headers)
    except Unauthenticated as failed:
        return failed.fault
    return known if isinstance(known, Principal) else None


async def found(authenticator: Authenticator, headers: Headers) -> Principal | AuthenticationFault:
    try:
        return await authenticator.authenticate(headers)
    except Unauthenticated as failed:
        return failed.fault


def spellings(token: bytes) -> list[Headers]:
    """Valid and invalid forms of headers with a token."""
    name = b"authorization"
    values = [
        b"Bearer " + token,
        b"bearer " + token,
        b"Bearer  " + token,
        b"Bearer\t" + token,
        b" Bearer " + token,
        b"Bearer " + token + b" ",
        b"Bearer " + token + b" x",
        b"Bearer " + token + b"\xff",
        b"Bearer x" + token,
        b"Basic " + token,
        b"Digest " + token,  # as long as Bearer
        b"Bearer",
        b"",
        token,
    ]
    alone = [[(b"host", b"api"), (name, value), (b"accept", b"*/*")] for value in values]
    good = (name, b"Bearer " + token)
    return [[], *alone, [good, good], [good, (b"Authorization", b"")], [(b"AUTHORIZATION", good[1])]]


async def test_a_cached_caller_equals_the_verified_one(issuer: LiveIssuer) -> None:
    now = datetime.now(UTC)
    live, ended, revoked, unknown = (mint("live") for _ in range(4))
    keys = Keys((live, None, None), (ended, now - timedelta(seconds=1), None), (revoked, None, now))
    api_keys = ApiKeyVerifier(keys.find, environments=["live"], cache_seconds=60, on_accepted=lambda _: None)
    async with KeySet(issuer.jwks_url) as key_set:
        authenticator = Authenticator(single_issuer(key_set, issuer.url, (AUDIENCE,)), api_keys, NO_APPS)
        person = issuer.token(permissions=["catalog:read"])
        tokens = [person, issuer.token(exp=1), live.plaintext, ended.plaintext, revoked.plaintext, unknown.plaintext]
        known: set[object] = set()
        for token in tokens:
            for headers in spellings(token.encode()):
                slowly = await found(authenticator, headers)
                quickly = cached(authenticator, headers)
                assert quickly in (None, slowly), headers
                known.add(quickly if isinstance(quickly, AuthenticationFault) else quickly and quickly.method)
        asked = keys.asked
        assert known >= {
            None,
            "jwt",
            "api_key",
            "anonymous",
            AuthenticationFault.SENT_TWICE,
            AuthenticationFault.KEY_EXPIRED,
            AuthenticationFault.KEY_REVOKED,
        }
        for token, method in ((person, "jwt"), (live.plaintext, "api_key")):
            principal = authenticator.cached([(b"authorization", b"Bearer " + token.encode())])
            assert isinstance(principal, Principal)
            assert principal.method == method
        assert authenticator.cached([]) is ANONYMOUS
        assert keys.asked == asked, "a cached caller needs no lookup in the database"


async def test_a_key_is_recalled_by_its_exact_bytes_alone(issuer: LiveIssuer) -> None:
    key, other = mint("live"), mint("test")
    api_keys = ApiKeyVerifier(
        Keys((key, None, None), (other, None, None)).find,
        environments=["live"],
        cache_seconds=60,
        on_accepted=lambda _: None,
    )
    async with KeySet(issuer.jwks_url) as key_set:
        authenticator = Authenticator(single_issuer(key_set, issuer.url, (AUDIENCE,)), api_keys, NO_APPS)

        def recalled(text: str) -> Principal | AuthenticationFault | None:
            return cached(authenticator, [(b"authorization", text.encode())])

        assert recalled(f"Bearer {key.plaintext}") is None
        await authenticator.authenticate([(b"authorization", b"Bearer " + key.plaintext.encode())])
        principal = recalled(f"Bearer {key.plaintext}")
        assert isinstance(principal, Principal)
        assert recalled(f"bearer  {key.plaintext} ") is principal
        assert recalled(f"Bearer {key.plaintext[:-1]}") is AuthenticationFault.KEY_MALFORMED
        assert recalled(f"Bearer {key.plaintext.upper()}") is None
        assert recalled(f"Bearer {key.plaintext} x") is AuthenticationFault.SPACES
        assert recalled(f"Bearer {other.plaintext}") is AuthenticationFault.KEY_UNKNOWN, "of another environment"
        assert recalled(f"Basic {key.plaintext}") is ANONYMOUS
        api_keys.invalidate(key.digest)
        assert recalled(f"Bearer {key.plaintext}") is None


async def test_an_uncached_key_is_parsed_and_hashed_once(issuer: LiveIssuer) -> None:
    key = mint("live")
    api_keys = ApiKeyVerifier(
        Keys((key, None, None)).find, environments=["live"], cache_seconds=60, on_accepted=lambda _: None
    )
    calls: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            calls[frame.f_code.co_qualname] += 1

    async with KeySet(issuer.jwks_url) as key_set:
        authenticator = Authenticator(single_issuer(key_set, issuer.url, (AUDIENCE,)), api_keys, NO_APPS)
        headers = [(b"authorization", b"Bearer " + key.plaintext.encode())]
        sys.setprofile(count)
        try:
            principal = await authenticator.authenticate(headers)
        finally:
            sys.setprofile(None)
    assert principal.key_id == 1
    assert {name: calls[name] for name in ("authorization", "parse_bearer_token", "digest")} == {
        "authorization": 1,
        "parse_bearer_token": 1,
        "digest": 1,
    }


async def test_a_changed_token_is_never_in_the_cache(issuer: LiveIssuer) -> None:
    seeded = random.Random(5)
    api_keys = ApiKeyVerifier(Keys().find, environments=["live"], cache_seconds=60, on_accepted=lambda _: None)
    async with KeySet(issuer.jwks_url) as key_set:
        authenticator = Authenticator(single_issuer(key_set, issuer.url, (AUDIENCE,)), api_keys, NO_APPS)
        good = issuer.token(permissions=["catalog:read"]).encode()
        assert (await authenticator.authenticate([(b"authorization", b"Bearer " + good)])).method == "jwt"
        for _ in range(2_000):
            changed = bytearray(good)
            changed[seeded.randrange(len(good))] ^= 1 << seeded.randrange(8)
            for value in (changed, good + changed[-1:], good[: seeded.randrange(len(good))]):
                known = cached(authenticator, [(b"authorization", b"Bearer " + bytes(value))])
                assert not isinstance(known, Principal) or known is ANONYMOUS


async def test_every_refusal_is_counted(issuer: LiveIssuer) -> None:
    api_keys = ApiKeyVerifier(Keys().find, environments=["live"], cache_seconds=60, on_accepted=lambda _: None)
    async with KeySet(issuer.jwks_url) as key_set:
        authenticator = Authenticator(single_issuer(key_set, issuer.url, (AUDIENCE,)), api_keys, NO_APPS)
        with capture_logs() as lines:
            assert cached(authenticator, [(b"authorization", b"Bearer")]) is AuthenticationFault.NO_CREDENTIALS
            assert await found(authenticator, [(b"authorization", b"Bearer a b")]) is AuthenticationFault.SPACES
            assert await found(authenticator, [(b"authorization", b"Bearer a.b.c")]) is AuthenticationFault.TOKEN
            with pytest.raises(Unauthenticated):
                await authenticator.verify_token("grd_live_x")
        causes = ["no_credentials", "spaces", "malformed_header", "key_malformed"]
        assert [line["cause"] for line in lines if line["event"] == "credentials refused"] == causes
