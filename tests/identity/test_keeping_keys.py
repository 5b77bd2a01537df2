"""The times of fetches of the issuer's keys, and how long keys are kept, to the second."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from app.identity.errors import CannotVerify
from app.identity.jwks import KeySet
from tests.identity.clock import Clock
from tests.identity.test_key_sets import jwk, private
from tests.support.issuer import LiveIssuer
from tests.support.server import eventually

pytestmark = pytest.mark.anyio


def keys_of(issuer: LiveIssuer, clock: Clock, **settings: Any) -> KeySet:
    return KeySet(issuer.jwks_url, clock=clock, **settings)


def down() -> tuple[int, bytes]:
    return 503, b""


async def becomes_true(check: Any) -> bool:
    """Whether a check becomes true while the event loop runs."""
    return await asyncio.to_thread(eventually, check)


async def test_there_are_no_keys_before_the_first_fetch(own: LiveIssuer, clock: Clock) -> None:
    keys = keys_of(own, clock)
    assert not keys.ready
    assert (keys.age_seconds, keys.last_error, keys.fetches) == (None, None, (0, 0))
    assert (keys.key_ids, keys.count, keys.ignored.texts) == ((), 0, ())
    assert keys.get(own.kid) is keys.get(None) is None
    assert await keys.find(own.kid)
    assert (keys.age_seconds, keys.last_error, keys.fetches) == (0, None, (1, 0))
    assert (keys.key_ids, keys.count) == ((own.kid,), 1)
    own.answer = down
    clock.now += 11
    assert await keys.find("made up") is None
    assert (keys.age_seconds, keys.last_error, keys.fetches) == (11, "the answer has status 503", (2, 1))
    await keys.stop()


async def test_a_key_set_is_started_once(own: LiveIssuer, clock: Clock) -> None:
    keys = keys_of(own, clock)
    await keys.start()
    with pytest.raises(RuntimeError, match="started only once"):
        await keys.start()
    await keys.stop()
    with pytest.raises(RuntimeError, match="started only once"):
        await keys.start()
    stopped = keys_of(own, clock)
    await stopped.stop()
    with pytest.raises(RuntimeError, match="started only once"):
        await stopped.start()
    assert own.fetches == 1


async def test_a_stopped_key_set_fetches_nothing(own: LiveIssuer, clock: Clock) -> None:
    before = asyncio.all_tasks()
    async with keys_of(own, clock) as keys:
        assert await keys.find(own.kid)
        assert len(asyncio.all_tasks()) == len(before) + 1
    assert asyncio.all_tasks() == before
    assert await keys.find(own.kid), "which needs no fetch"
    clock.now += 11
    assert await keys.find("made up") is None
    clock.now += 1000
    with pytest.raises(CannotVerify):
        await keys.find(own.kid)
    assert own.fetches == 1


async def test_a_stop_during_the_start_leaves_no_task(own: LiveIssuer, clock: Clock) -> None:
    gate = threading.Event()
    own.answer = lambda: own.publish() if gate.wait(10) else down()
    before = asyncio.all_tasks()
    keys = keys_of(own, clock)
    starting = asyncio.create_task(keys.start())
    assert await becomes_true(lambda: own.fetches == 1)
    await keys.stop()
    await starting
    gate.set()
    assert asyncio.all_tasks() == before
    assert not keys.ready


async def test_a_known_key_causes_no_fetch(own: LiveIssuer, clock: Clock) -> None:
    own.answer = lambda: (200, json.dumps({"keys": [jwk(), jwk(2, kid="k2")]}).encode())
    async with keys_of(own, clock, cooldown_seconds=0) as keys:
        for kid in ("k1", "k2"):
            assert await keys.find(kid)
        assert await keys.find(None) is None, "it is ambiguous between two keys"
        assert own.fetches == 1
        assert await keys.find("made up") is None
        assert own.fetches == 2, "one fetch shows that it is not published"


async def test_a_lookup_causes_at_most_two_fetches(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock, cooldown_seconds=0) as keys:
        own.answer = down
        assert await keys.find("made up") is None
        assert own.fetches == 3


async def test_a_missing_key_set_is_fetched_again_after_the_cooldown(own: LiveIssuer, clock: Clock) -> None:
    own.answer = down
    async with keys_of(own, clock, cooldown_seconds=10) as keys:
        began = clock.now
        for seconds, fetches, retry_after in ((0, 1, 10), (2.5, 1, 8), (9.5, 1, 1), (10, 2, 10), (19, 2, 1)):
            clock.now = began + seconds
            with pytest.raises(CannotVerify) as refused:
                await keys.find(own.kid)
            assert (own.fetches, refused.value.retry_after) == (fetches, retry_after)
        clock.now = began + 20
        own.answer = own.publish
        assert await keys.find(own.kid)


async def test_unknown_ids_wait_for_the_end_of_the_cooldown(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock) as keys:
        began = clock.now
        for seconds, fetches in ((0, 2), (9.9, 2), (10, 3), (19.9, 3), (20, 4)):
            clock.now = began + seconds
            assert await keys.find("made up") is None
            assert own.fetches == fetches


async def test_the_cooldown_begins_at_the_end_of_a_slow_failure(own: LiveIssuer, clock: Clock) -> None:
    def slow() -> tuple[int, bytes]:
        clock.now += 4
        return down()

    async with keys_of(own, clock, cooldown_seconds=10) as keys:
        own.answer = slow
        began = clock.now
        for seconds, fetches in ((0, 2), (10, 2), (13.9, 2), (14, 3)):
            clock.now = began + seconds
            assert await keys.find("made up") is None
            assert own.fetches == fetches


async def test_keys_are_kept_until_the_next_fetch_ends(own: LiveIssuer, clock: Clock) -> None:
    settings = {"refresh_seconds": 300, "timeout_seconds": 5, "cooldown_seconds": 10, "max_stale_seconds": 1000}
    async with keys_of(own, clock, **settings) as keys:
        began = clock.now
        own.answer = down
        clock.now = began + 305
        assert await keys.find("made up") is None
        for seconds, ready in ((324.9, True), (325, False)):
            clock.now = began + seconds
            assert keys.ready is ready
            assert (keys.get(own.kid) is not None) is ready
        clock.now = began + 100
        assert keys.ready


async def test_a_failed_fetch_does_not_shorten_the_life_of_keys(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock, refresh_seconds=300, timeout_seconds=5, cooldown_seconds=10) as keys:
        own.answer = down
        clock.now += 20
        assert await keys.find("made up") is None
        clock.now += 289.9
        assert keys.ready
        clock.now += 0.1
        assert not keys.ready


@pytest.mark.parametrize(
    ("stated", "stale"), [({"max_stale_seconds": 0}, 0), ({"max_stale_seconds": 7}, 7), ({}, 3600)]
)
async def test_keys_are_never_kept_beyond_their_maximum_age(
    own: LiveIssuer, clock: Clock, stated: dict[str, float], stale: float
) -> None:
    async with keys_of(own, clock, **stated) as keys:
        began = clock.now
        own.answer = down
        clock.now = began + 299
        assert await keys.find("made up") is None
        clock.now = max(clock.now, began + 300 + stale - 1)
        assert await keys.find("made up") is None
        clock.now = began + 300 + stale - 0.1
        assert keys.ready
        clock.now = began + 300 + stale
        assert not keys.ready


async def test_a_lookup_joins_a_running_fetch_even_during_the_cooldown(own: LiveIssuer, clock: Clock) -> None:
    gate = threading.Event()
    own.answer = down
    async with keys_of(own, clock, cooldown_seconds=10, refresh_seconds=0.01) as keys:
        own.answer = lambda: own.publish() if gate.wait(10) else down()
        assert await becomes_true(lambda: own.fetches == 2)
        finding = asyncio.create_task(keys.find(own.kid))
        await asyncio.sleep(0)
        gate.set()
        assert await finding


async def test_a_key_published_during_a_fetch_is_found_by_the_next_one(own: LiveIssuer, clock: Clock) -> None:
    async with keys_of(own, clock) as keys:
        gate, old = threading.Event(), own.publish()
        own.answer = lambda: old if gate.wait(10) else down()
        clock.now += 11
        first = asyncio.create_task(keys.find("made up"))
        assert await becomes_true(lambda: own.fetches == 2)
        own.rotate()
        second = asyncio.create_task(keys.find(own.kid))
        await asyncio.sleep(0)
        clock.now += 11
        own.answer = own.publish
        gate.set()
        assert await first is None
        assert await second
        assert own.fetches == 3


@pytest.mark.parametrize(
    ("answers", "refresh", "cooldown", "again"),
    [(True, 0.01, 30, True), (True, 30, 0.01, False), (False, 30, 0.01, True), (False, 0.01, 30, True)],
)
async def test_the_refresh_interval_is_shorter_after_a_failure(
    own: LiveIssuer, answers: bool, refresh: float, cooldown: float, again: bool
) -> None:
    if not answers:
        own.answer = down
    async with KeySet(own.jwks_url, refresh_seconds=refresh, cooldown_seconds=cooldown):
        if again:
            assert await becomes_true(lambda: own.fetches >= 3)
        else:
            await asyncio.sleep(0.1)
            assert own.fetches == 1


async def test_a_first_key_set_with_a_private_key_is_refused(own: LiveIssuer, clock: Clock) -> None:
    own.answer = lambda: (200, json.dumps({"keys": [private()]}).encode())
    async with keys_of(own, clock) as keys:
        assert keys.last_error == (
            "it has no usable key (key 'k1': it contains private material, so others can sign with it)"
        )
        assert not keys.ready


async def test_each_new_reason_and_the_recovery_are_logged_once(
    own: LiveIssuer, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "app.identity.jwks")
    async with keys_of(own, clock, cooldown_seconds=0) as keys:
        for answer in (own.publish, down, down, lambda: (500, b""), own.publish, own.publish):
            own.answer = answer
            await keys.find("made up")
    assert [record.message for record in caplog.records if record.name == "app.identity.jwks"] == [
        "The signing keys could not be fetched: the answer has status 503",
        "The signing keys could not be fetched: the answer has status 500",
        "The signing keys are available again",
    ]


@pytest.mark.parametrize(("length", "taken"), [(256 * 1024, True), (256 * 1024 + 1, False)])
async def test_a_key_set_is_at_most_as_long_as_the_limit(
    own: LiveIssuer, clock: Clock, length: int, taken: bool
) -> None:
    own.answer = lambda: (200, own.publish()[1].ljust(length))
    async with keys_of(own, clock) as keys:
        assert keys.ready is taken
        assert keys.last_error == (None if taken else "the document is over 262144 bytes")


async def test_only_the_configured_number_of_keys_is_used(own: LiveIssuer, clock: Clock) -> None:
    own.answer = lambda: (200, json.dumps({"keys": [jwk(), jwk(2, kid="k2")]}).encode())
    async with keys_of(own, clock, max_keys=1) as keys:
        assert keys.key_ids == ("k1",)
        assert keys.ignored.texts == ("key 'k2': only the first 1 keys are read",)
