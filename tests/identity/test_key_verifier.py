"""The verifier of API keys: its checks of records, and the times and size of its cache."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.identity.api_keys import KeyRecord, MintedKey, mint, refusal_reason
from app.identity.credential_cache import MAX_CACHED, REREAD_SECONDS
from app.identity.errors import AuthenticationFault, Unauthenticated
from app.identity.key_verifier import ApiKeyVerifier
from tests.identity.clock import Clock
from tests.identity.test_tokens import Database, key_verifier

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


async def fault_of(verifier: ApiKeyVerifier, key: MintedKey) -> AuthenticationFault | None:
    """Why a key is refused; None if it is accepted."""
    try:
        await verifier.verify(key.plaintext)
    except Unauthenticated as refused:
        return refused.fault
    return None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"digest": mint("live").digest}, AuthenticationFault.KEY_UNKNOWN),
        ({"environment": "test"}, AuthenticationFault.KEY_UNKNOWN),
    ],
)
async def test_a_record_of_another_key_is_refused(changes: dict[str, Any], fault: AuthenticationFault | None) -> None:
    database, key = Database(), mint("live")
    database.add(key)
    database.records[key.digest] = KeyRecord(
        **{
            "id": 1,
            "subject": "user_owner",
            "environment": "live",
            "scopes": frozenset({"catalog:read"}),
            "digest": key.digest,
            "expires_at": None,
            "revoked_at": None,
            **changes,
        }
    )
    verifier = key_verifier(database)
    for _ in range(2):  # looked up, and cached
        assert await fault_of(verifier, key) is fault


async def test_a_key_of_another_environment_is_not_looked_up() -> None:
    database, key = Database(), mint("test")
    database.add(key)
    assert await fault_of(key_verifier(database, environments=("live",)), key) is AuthenticationFault.KEY_UNKNOWN
    assert database.asked == 0


@pytest.mark.parametrize(("after", "good"), [(timedelta(microseconds=1), True), (timedelta(0), False)])
async def test_a_key_is_refused_from_its_expiry_on(after: timedelta, good: bool) -> None:
    database, key = Database(), mint("live")
    record = database.add(key, expires_at=NOW + after)
    verifier = key_verifier(database, now=lambda: NOW)
    for _ in range(2):
        assert await fault_of(verifier, key) is (None if good else AuthenticationFault.KEY_EXPIRED)
    assert refusal_reason(record, ("live",), NOW) == ("" if good else "it expired at 2026-11-24T08:30:00Z")


def test_the_environment_is_the_last_reason_of_a_refusal() -> None:
    record = Database().add(mint("test"))
    assert refusal_reason(record, ("live", "test"), NOW) == ""
    assert refusal_reason(record, ("live",), NOW) == "test keys are not accepted here"
    assert (
        refusal_reason(replace(record, prefix="acme"), ("test",), NOW)
        == "keys that begin with acme_ are not accepted here"
    )
    revoked = Database().add(mint("test"), revoked_at=NOW, expires_at=NOW)
    assert refusal_reason(revoked, ("live",), NOW) == "it was revoked at 2026-11-24T08:30:00Z"


def test_an_expiry_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="expires_at has no time zone"):
        Database().add(mint("live"), expires_at=NOW.replace(tzinfo=None))


class SlowDatabase(Database):
    """A database whose lookups take a second of the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    async def find(self, digest: bytes) -> KeyRecord | None:
        found = await super().find(digest)
        self.clock.now += 1
        return found


async def test_the_age_of_a_record_counts_from_the_start_of_its_lookup(clock: Clock) -> None:
    database, key, unknown = SlowDatabase(clock), mint("live"), mint("live")
    database.add(key)
    verifier = key_verifier(database, cache_seconds=10, clock=clock)
    for each, fault in ((key, None), (unknown, AuthenticationFault.KEY_UNKNOWN)):
        began, asked = clock.now, database.asked
        assert await fault_of(verifier, each) is fault
        clock.now = began + 9.5
        assert await fault_of(verifier, each) is fault
        assert database.asked == asked + 1
        clock.now = began + 10
        assert await fault_of(verifier, each) is fault
        assert database.asked == asked + 2, "accepted for the cache time, and not longer"


async def test_late_changes_count_from_their_request(clock: Clock) -> None:
    database, key = Database(), mint("live")
    database.add(key)
    verifier = key_verifier(database, cache_seconds=10, clock=clock)
    began = clock.now
    await verifier.verify(key.plaintext)
    clock.now = began + 9
    verifier.cache.apply_changes((), began + 5)
    for seconds, asked in ((14.5, 1), (15, 2)):
        clock.now = began + seconds
        await verifier.verify(key.plaintext)
        assert database.asked == asked


async def test_a_key_is_refreshed_at_intervals_from_its_lookup(clock: Clock) -> None:
    database, key = SlowDatabase(clock), mint("live")
    database.add(key)
    verifier = key_verifier(database, cache_seconds=10, clock=clock)
    began = clock.now
    await verifier.verify(key.plaintext)
    for seconds, asked in ((REREAD_SECONDS - 0.5, 1), (REREAD_SECONDS, 2)):
        clock.now = began + seconds
        verifier.cache.apply_changes((), clock.now)
        await verifier.verify(key.plaintext)
        assert database.asked == asked


async def test_the_cache_of_keys_is_bounded_and_evicts_the_oldest() -> None:
    database, keys = Database(), [mint("live") for _ in range(4)]
    for key in keys:
        database.add(key)
    unknown = [mint("live") for _ in range(4)]
    verifier = key_verifier(database, max_cached=3, max_unknown=3)
    for some in (keys, unknown):
        for key in some:
            await fault_of(verifier, key)
        asked = database.asked
        for key in reversed(some[1:]):
            await fault_of(verifier, key)
        assert database.asked == asked
        await fault_of(verifier, some[0])
        assert database.asked == asked + 1
    assert len(verifier.cache) == 3


async def test_the_default_size_of_the_key_cache() -> None:
    database = Database()
    unknown = [mint("live") for _ in range(10_001)]
    verifier = key_verifier(database)
    for key in unknown:
        await fault_of(verifier, key)
    for number, asked in ((1, 0), (10_000, 0), (0, 1)):
        before = database.asked
        await fault_of(verifier, unknown[number])
        assert database.asked == before + asked
    assert MAX_CACHED == 100_000


async def test_a_key_that_is_looked_up_again_becomes_the_newest_entry() -> None:
    for known in (True, False):
        database, keys, clock = Database(), [mint("live") for _ in range(4)], Clock()
        for key in keys if known else []:
            database.add(key)
        verifier = key_verifier(database, max_cached=3, max_unknown=3, clock=clock)
        for key in keys[:3]:
            await fault_of(verifier, key)
        clock.now += 59
        verifier.invalidate(keys[1].digest)
        await fault_of(verifier, keys[1])
        clock.now += 1
        await fault_of(verifier, keys[2])  # expired, and looked up again
        clock.now += 1
        for key, asked in (
            (keys[1], 0),
            (keys[2], 0),
            (keys[0], 1),
            (keys[1], 0),
            (keys[2], 0),
            (keys[3], 1),
            (keys[1], 1),
        ):
            before = database.asked
            await fault_of(verifier, key)
            assert database.asked == before + asked
        assert len(verifier.cache) == (3 if known else 0)


@pytest.mark.parametrize("cache_seconds", [0, 0.5, 1])
async def test_a_cache_time_of_zero_disables_the_cache(clock: Clock, cache_seconds: float) -> None:
    database, key = Database(), mint("live")
    database.add(key)
    verifier = key_verifier(database, cache_seconds=cache_seconds, clock=clock)
    for asked in range(1, 4):
        assert await fault_of(verifier, key) is None
        assert await fault_of(verifier, mint("live")) is AuthenticationFault.KEY_UNKNOWN
        assert database.asked == (2 * asked if cache_seconds == 0 else asked + 1)
        assert len(verifier.cache) == (0 if cache_seconds == 0 else 1)
    assert verifier.cache.hits == (0 if cache_seconds == 0 else 2)


async def test_cache_hits_are_counted() -> None:
    database, key, unknown = Database(), mint("live"), mint("live")
    database.add(key)
    verifier = key_verifier(database)
    for hits in range(3):
        assert await fault_of(verifier, key) is None
        assert await fault_of(verifier, unknown) is AuthenticationFault.KEY_UNKNOWN
        assert verifier.cache.hits == 2 * hits
    assert verifier.cached(verifier.parse(key.plaintext))
    assert verifier.cache.hits == 5


async def test_a_key_that_has_changed_is_looked_up_again() -> None:
    database, keys, unknown = Database(), [mint("live") for _ in range(2)], mint("live")
    for key in keys:
        database.add(key)
    verifier = key_verifier(database)

    async def lookups() -> list[int]:
        counts = []
        for key in (*keys, unknown):
            before = database.asked
            await fault_of(verifier, key)
            counts.append(database.asked - before)
        return counts

    assert await lookups() == [1, 1, 1]
    assert await lookups() == [0, 0, 0]
    changes: list[tuple[Callable[[], None], list[int]]] = [
        (lambda: verifier.invalidate(1), [1, 0, 0]),
        (lambda: verifier.invalidate(keys[1].digest), [0, 1, 0]),
        (lambda: verifier.invalidate(unknown.digest), [0, 0, 1]),
        (lambda: verifier.invalidate(99), [0, 0, 0]),
        (lambda: verifier.invalidate(mint("live").digest), [0, 0, 0]),
        (lambda: verifier.cache.apply_changes([1, 2, 99], 0.0), [1, 1, 0]),
        (verifier.invalidate_all, [1, 1, 1]),
    ]
    for change, expected in changes:
        change()
        assert await lookups() == expected
        assert await lookups() == [0, 0, 0]
        assert len(verifier.cache) == 2


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("change", ["the key", "another key", "all keys", "none"])
async def test_a_lookup_is_cached_unless_the_key_changed_during_it(exists: bool, change: str) -> None:
    database, key = Database(), mint("live")
    if exists:
        database.add(key)
    verifier = key_verifier(database)
    changes: dict[str, Callable[[], None]] = {
        "the key": lambda: verifier.invalidate(key.digest),
        "another key": lambda: verifier.invalidate(99),
        "all keys": verifier.invalidate_all,
        "none": lambda: None,
    }
    database.held = asyncio.Event()
    under_way = asyncio.create_task(fault_of(verifier, key))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert database.asked == 1
    changes[change]()
    database.held.set()
    fault = None if exists else AuthenticationFault.KEY_UNKNOWN
    assert await under_way is fault
    assert await fault_of(verifier, key) is fault
    assert database.asked == (1 if change == "none" else 2)
    assert await fault_of(verifier, key) is fault
    assert database.asked == (1 if change == "none" else 2)


async def test_evicting_a_key_forgets_its_id() -> None:
    database = Database()
    verifier = key_verifier(database, max_cached=2)
    keys = [mint("live") for _ in range(20)]
    for key in keys:
        database.add(key)
        await fault_of(verifier, key)
    assert verifier.cache.tags == len(verifier.cache) == 2
    verifier.invalidate(20)
    assert verifier.cache.tags == len(verifier.cache) == 1
    verifier.invalidate_all()
    assert verifier.cache.tags == len(verifier.cache) == 0
