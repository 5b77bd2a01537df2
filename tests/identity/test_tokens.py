"""Verifiers with mutated tokens, invalid claims, and keys that are revoked during their lookup."""

from __future__ import annotations

import asyncio
import json
import random
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import jwt as pyjwt
import pytest

from app.identity.api_keys import KeyRecord, MintedKey, mint
from app.identity.errors import AuthenticationFault, Unauthenticated
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier, single_issuer
from app.identity.key_verifier import ApiKeyVerifier
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio


def verifier_of(keys: KeySet, issuer: LiveIssuer) -> JwtVerifier:
    return single_issuer(keys, issuer.url, (AUDIENCE,))


def signed(issuer: LiveIssuer, payload: bytes, header: dict[str, Any] | None = None) -> str:
    """A validly signed token with any bytes as payload."""
    headers = {"kid": issuer.kid, **(header or {})}
    return pyjwt.PyJWS().encode(payload, issuer.key, algorithm="RS256", headers=headers)


async def test_a_mutated_token_is_refused(issuer: LiveIssuer) -> None:
    seeded = random.Random(11)
    good = issuer.token(permissions=["catalog:read"])
    alphabet = "abcXYZ019-_.=%+/ é\x00"
    async with KeySet(issuer.jwks_url) as keys:
        verifier = verifier_of(keys, issuer)
        assert (await verifier.verify(good)).subject == "user_test"
        for _ in range(2_000):
            token = list(good)
            for _ in range(seeded.randint(1, 3)):
                place = seeded.randrange(len(token))
                match seeded.randrange(3):
                    case 0:
                        token[place] = seeded.choice(alphabet)
                    case 1:
                        token.insert(place, seeded.choice(alphabet))
                    case _:
                        del token[place]
            mutated = "".join(token)
            if mutated == good:
                continue
            with pytest.raises(Unauthenticated):
                await verifier.verify(mutated)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": "1999999999"},
        {"exp": True},
        {"exp": 1e400},
        {"exp": -1e400},
        {"exp": float("nan")},
        {"exp": 10**30},
        {"exp": {}},
        {"nbf": "x"},
        {"iat": []},
        {"iat": 10**12},
        {"sub": ""},
        {"sub": ["a"]},
        {"sub": "a\nb"},
        {"sub": "a" * 256},
        {"sub": "\ud800"},
        {"jti": 7},
        {"aud": 7},
        {"aud": [7]},
        {"iss": 7},
        {"iss": ["x"]},
    ],
    ids=str,
)
async def test_a_claim_of_the_wrong_shape_is_refused(issuer: LiveIssuer, changes: dict[str, Any]) -> None:
    payload = {"iss": issuer.url, "aud": AUDIENCE, "sub": "u", "exp": int(time.time()) + 60, **changes}
    async with KeySet(issuer.jwks_url) as keys:
        with pytest.raises(Unauthenticated) as refused:
            await verifier_of(keys, issuer).verify(signed(issuer, json.dumps(payload).encode()))
    assert refused.value.fault in (
        AuthenticationFault.TOKEN,
        AuthenticationFault.AUDIENCE,
        AuthenticationFault.ISSUER,
        AuthenticationFault.EXPIRED,
    )


@pytest.mark.parametrize(
    "payload",
    [b"", b"null", b"[]", b'"text"', b"{", b"\xff", b"[" * 3_000, b'{"a":' * 900],
    ids=range(8),
)
async def test_a_payload_that_is_no_plain_object_is_refused(issuer: LiveIssuer, payload: bytes) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        with pytest.raises(Unauthenticated) as refused:
            await verifier_of(keys, issuer).verify(signed(issuer, payload))
    assert refused.value.fault is AuthenticationFault.TOKEN


@pytest.mark.parametrize(
    "member",
    [
        *(b'"sub":"another"', b'"a":{"b":1,"c":[],"b":1}', b'"a":[{"b":1,"b":2}]', b'"a":1,"\\u0061":1'),
        *(b'"a":NaN', b'"a":[-Infinity]', b'"a":1e400', b'"a":' + b"9" * 5_000, b'"a":01'),
        *(b'"a":"\\ud800"', b'"\\udc00":1', b'"a":"\xff"', b'"a":"\xed\xa0\x80"', b'"a":"\x01"', b'"a":1,'),
        b'"a":' + b"[" * 2_500 + b"]" * 2_500,
    ],
    ids=lambda member: repr(member[:30]),
)
async def test_ambiguous_claims_are_refused(issuer: LiveIssuer, member: bytes) -> None:
    claims = {"iss": issuer.url, "aud": AUDIENCE, "sub": "u", "exp": int(time.time()) + 60}
    plain = json.dumps(claims).encode()
    async with KeySet(issuer.jwks_url) as keys:
        verifier = verifier_of(keys, issuer)
        assert (await verifier.verify(signed(issuer, plain))).subject == "u"
        with pytest.raises(Unauthenticated) as refused:
            await verifier.verify(signed(issuer, plain.removesuffix(b"}") + b"," + member + b"}"))
    assert refused.value.fault is AuthenticationFault.TOKEN


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"b64": False, "crit": ["b64"]}])
async def test_extensions_of_the_header_are_refused(issuer: LiveIssuer, header: dict[str, Any]) -> None:
    stated = {"alg": "RS256", "kid": issuer.kid, **header}
    first = urlsafe_b64encode(json.dumps(stated).encode()).rstrip(b"=").decode()
    token = ".".join([first, *issuer.token().split(".")[1:]])
    async with KeySet(issuer.jwks_url) as keys:
        with pytest.raises(Unauthenticated) as refused:
            await verifier_of(keys, issuer).verify(token)
    assert refused.value.fault is AuthenticationFault.TOKEN


@pytest.mark.parametrize("junk", ["\n\n\n\n", "    ", "!!!!", "????", "\x00" * 4, "+/+/", "----", "===="], ids=repr)
async def test_junk_within_a_segment_is_not_skipped(issuer: LiveIssuer, junk: str) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        verifier = verifier_of(keys, issuer)
        segments = issuer.token().split(".")
        for number, segment in enumerate(segments):
            changed_answers = [*segments]
            changed_answers[number] = segment[:8] + junk + segment[8:]
            with pytest.raises(Unauthenticated) as refused:
                await verifier.verify(".".join(changed_answers))
            if junk == "----":  # valid base64url of other bytes
                assert refused.value.code in ("malformed_header", "signature")
            else:
                assert refused.value.code == ("malformed_header" if number == 0 else "malformed_base64")


async def test_a_valid_token_has_one_encoding(issuer: LiveIssuer) -> None:
    token = next(token for number in count() if set("-_") <= set((token := issuer.token(jti=f"t{number}"))[-342:]))
    signed, _, signature = token.rpartition(".")
    following = chr(ord(signature[-1]) + 1)  # the last character of 342 has four bits that mean nothing
    others = [signature.replace("-", "+"), signature.replace("_", "/"), signature[:-1] + following, signature + "=="]
    async with KeySet(issuer.jwks_url) as keys:
        verifier = verifier_of(keys, issuer)
        for other in others:
            with pytest.raises(Unauthenticated) as refused:
                await verifier.verify(f"{signed}.{other}")
            assert refused.value.code == "malformed_base64"
        assert (await verifier.verify(token)).subject == "user_test"


class Database:
    """A database of keys that counts its lookups."""

    def __init__(self) -> None:
        self.records: dict[bytes, KeyRecord] = {}
        self.asked = 0
        self.held: asyncio.Event | None = None

    def add(self, key: MintedKey, **changes: Any) -> KeyRecord:
        known: dict[str, Any] = {
            "id": len(self.records) + 1,
            "subject": "user_owner",
            "environment": key.environment,
            "scopes": frozenset({"catalog:read"}),
            "digest": key.digest,
            "expires_at": None,
            "revoked_at": None,
            **changes,
        }
        self.records[key.digest] = KeyRecord(**known)
        return self.records[key.digest]

    async def find(self, digest: bytes) -> KeyRecord | None:
        self.asked += 1
        found = self.records.get(digest)
        if self.held:
            await self.held.wait()
        return found


def key_verifier(database: Database, **settings: Any) -> ApiKeyVerifier:
    known: dict[str, Any] = {
        "environments": ("live", "test"),
        "cache_seconds": 60,
        "on_accepted": lambda _: None,
        **settings,
    }
    return ApiKeyVerifier(database.find, **known)


async def test_a_key_becomes_the_principal_of_its_scopes_and_facts() -> None:
    database, key = Database(), mint("live")
    database.add(key)
    seen: list[int] = []
    principal = await key_verifier(database, on_accepted=seen.append).verify(key.plaintext)
    assert principal.held == {"anyone", "auth:api_key", "env:live", "key:1", "catalog:read"}
    assert (principal.subject, principal.method, principal.key_id) == ("user_owner", "api_key", 1)
    assert seen == [1]


async def test_a_key_is_cached_for_a_time_and_can_be_forgotten() -> None:
    database, key = Database(), mint("live")
    record = database.add(key)
    now = [0.0]
    verifier = key_verifier(database, clock=lambda: now[0], cache_seconds=1)
    for _ in range(3):
        await verifier.verify(key.plaintext)
    assert database.asked == 1
    now[0] += 1.01
    await verifier.verify(key.plaintext)
    assert database.asked == 2
    database.add(key, id=record.id, revoked_at=datetime.now(UTC))
    verifier.invalidate(record.id)
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(key.plaintext)
    assert refused.value.fault is AuthenticationFault.KEY_REVOKED


async def test_a_running_lookup_does_not_restore_a_revoked_key() -> None:
    database, key = Database(), mint("live")
    record = database.add(key)
    verifier = key_verifier(database)
    database.held = asyncio.Event()
    under_way = asyncio.create_task(verifier.verify(key.plaintext))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    database.add(key, id=record.id, revoked_at=datetime.now(UTC))
    verifier.invalidate(record.id)
    database.held.set()
    await asyncio.gather(under_way, return_exceptions=True)
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(key.plaintext)
    assert refused.value.fault is AuthenticationFault.KEY_REVOKED


async def test_revocation_is_reported_before_expiry_and_expiry_is_checked_in_the_cache() -> None:
    database, revoked, expiring = Database(), mint("live"), mint("live")
    past = datetime.now(UTC) - timedelta(days=1)
    database.add(revoked, revoked_at=past, expires_at=past)
    database.add(expiring, expires_at=datetime.now(UTC) + timedelta(seconds=0.2))
    verifier = key_verifier(database)
    with pytest.raises(Unauthenticated) as refused:
        await verifier.verify(revoked.plaintext)
    assert refused.value.fault is AuthenticationFault.KEY_REVOKED
    await verifier.verify(expiring.plaintext)
    await asyncio.sleep(0.3)
    with pytest.raises(Unauthenticated) as late:
        await verifier.verify(expiring.plaintext)
    assert late.value.fault is AuthenticationFault.KEY_EXPIRED
    assert database.asked == 2


async def test_an_unknown_key_is_looked_up_once() -> None:
    database, key = Database(), mint("live")
    verifier = key_verifier(database)
    for _ in range(5):
        with pytest.raises(Unauthenticated) as refused:
            await verifier.verify(key.plaintext)
        assert refused.value.fault is AuthenticationFault.KEY_UNKNOWN
    assert database.asked == 1


@pytest.mark.parametrize(
    "token",
    [
        "grd_live_" + "a" * 48 + "\n",
        "grd_live_" + "\uff11" * 48,
        "grd_LIVE_" + "a" * 48,
        " grd_live_" + "a" * 48,
        "grd_live_" + "a" * 47 + "A",
    ],
    ids=range(5),
)
async def test_a_key_of_another_shape_is_malformed(token: str) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await key_verifier(Database()).verify(token)
    assert refused.value.fault is AuthenticationFault.KEY_MALFORMED
