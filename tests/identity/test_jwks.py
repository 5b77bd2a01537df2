"""The issuer's keys over real HTTP: rotation, outages, unknown key ids and invalid documents."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from app.dev.issuer import Issuer
from app.identity.errors import CannotVerify
from app.identity.jwks import KeySet
from tests.identity.clock import Clock
from tests.support.issuer import LiveIssuer

pytestmark = pytest.mark.anyio


def keys_of(issuer: LiveIssuer, clock: Clock, **settings: Any) -> KeySet:
    return KeySet(issuer.jwks_url, clock=clock, **settings)


def document(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": [*keys]}).encode()


async def test_a_key_is_found_by_its_id(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock) as keys:
        assert await keys.find(own.kid) is not None
        assert keys.get(own.kid) is not None
        assert keys.get(None) is not None, "one key alone needs no id"
        assert keys.ready
        assert keys.key_ids == (own.kid,)
        assert await keys.find("another") is None


async def test_a_rotated_key_is_fetched_at_its_first_use(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock) as keys:
        old = own.kid
        assert await keys.find(old)
        own.rotate()
        clock.now += 11
        assert await keys.find(own.kid)
        assert keys.get(old) is None, "a key that is no longer published is refused"


async def test_unknown_key_ids_cause_one_fetch_per_cooldown(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock, cooldown_seconds=10) as keys:
        assert await keys.find(own.kid)
        clock.now += 11
        before = own.fetches
        found = await asyncio.gather(*(keys.find(f"made-up-{number}") for number in range(50)))
        assert found == [None] * 50
        for number in range(50):
            assert await keys.find(f"later-{number}") is None
        assert own.fetches - before <= 2
        clock.now += 11
        assert await keys.find("much later") is None
        assert own.fetches - before <= 4


async def test_keys_bridge_an_outage_up_to_a_maximum_age(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock, refresh_seconds=300, max_stale_seconds=600, cooldown_seconds=1) as keys:
        assert await keys.find(own.kid)
        own.answer = lambda: (503, b"down")
        for _ in range(8):
            clock.now += 100
            assert await keys.find(own.kid), clock.now
        clock.now += 101
        with pytest.raises(CannotVerify) as unavailable:
            await keys.find(own.kid)
        assert unavailable.value.detail == "Signing keys are unavailable."
        assert unavailable.value.retry_after >= 1
        assert not keys.ready
        own.answer = own.publish
        clock.now += 2
        assert await keys.find(own.kid)


async def test_without_any_keys_nothing_verifies(own: LiveIssuer, clock: Clock) -> None:
    own.answer = lambda: (500, b"")
    async with keys_of(own, clock) as keys:
        with pytest.raises(CannotVerify):
            await keys.find(own.kid)
        before = own.fetches
        with pytest.raises(CannotVerify):
            await keys.find(own.kid)
        assert own.fetches == before, "a failure has a cooldown too"


@pytest.mark.parametrize(
    "answer",
    [
        (200, b""),
        (200, b"{}"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": {}}'),
        (200, b"[]"),
        (200, b"not json"),
        (200, b"\xff\xfe"),
        (200, b'{"keys": [1, null, {}]}'),
        (200, b"[" * 100_000),
        (200, b'{"keys": [' + b" " * 300_000 + b"]}"),
        (404, b'{"keys": []}'),
        (302, b""),
        (500, b"oops"),
    ],
    ids=range(13),
)
async def test_an_invalid_key_set_never_replaces_a_valid_one(
    own: LiveIssuer, clock: Clock, answer: tuple[int, bytes]
) -> None:
    async with keys_of(own, clock) as keys:
        assert await keys.find(own.kid)
        own.answer = lambda: answer
        clock.now += 11
        assert await keys.find("made up") is None
        assert keys.get(own.kid), "the valid key stays"
        assert keys.last_error


@pytest.mark.parametrize("status", [201, 203, 400, 404, 500, 503])
async def test_keys_in_an_answer_with_another_status_than_200_are_ignored(
    own: LiveIssuer, clock: Clock, status: int
) -> None:
    async with keys_of(own, clock) as keys:
        old = own.kid
        own.rotate()
        own.answer = lambda: (status, own.publish()[1])
        clock.now += 11
        assert await keys.find(own.kid) is None
        assert keys.get(old)
        assert keys.last_error == f"the answer has status {status}"


async def test_the_age_of_keys_counts_from_the_start_of_their_fetch(own: LiveIssuer, clock: Clock) -> None:
    def slow() -> tuple[int, bytes]:
        clock.now += 4
        return own.publish()

    own.answer = slow
    began = clock.now
    async with keys_of(own, clock, refresh_seconds=300, timeout_seconds=5) as keys:
        assert keys.age_seconds == 4
        clock.now = began + 309.5
        assert keys.ready
        assert keys.get(own.kid)
        clock.now = began + 310
        assert not keys.ready
        assert keys.get(own.kid) is None
        assert keys.get(None) is None


def jwk(key: rsa.RSAPrivateKey, **members: Any) -> dict[str, Any]:
    made: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    del made["key_ops"]
    return {**made, "kid": "other", **members}


async def test_unusable_keys_are_ignored_and_the_others_work(own: LiveIssuer, clock: Clock) -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    strong = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private: dict[str, Any] = RSAAlgorithm.to_jwk(strong, as_dict=True)
    good = Issuer(own.key).jwks()["keys"][0]
    error = [
        jwk(weak, kid="weak"),
        jwk(strong, kid="encryption", use="enc"),
        jwk(strong, kid="other algorithm", alg="RS512"),
        jwk(strong, kid="signs only", key_ops=["sign"]),
        {**private, "kid": "private"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"},
        {"kty": "EC", "kid": "curve"},
        jwk(strong, kid=7),
        "text",
    ]
    own.answer = lambda: (200, json.dumps({"keys": [*error, good]}).encode())
    async with keys_of(own, clock) as keys:
        assert await keys.find(own.kid)
        assert keys.key_ids == (own.kid,)
        assert sum(keys.ignored.counts.values()) >= 9


async def test_a_slow_or_endless_answer_times_out(clock: Clock) -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        try:
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    keys = KeySet(f"http://127.0.0.1:{port}/", timeout_seconds=0.3, clock=clock)
    async with asyncio.timeout(5):
        async with keys:
            with pytest.raises(CannotVerify):
                await keys.find("any")
    server.close()
    await server.wait_closed()
