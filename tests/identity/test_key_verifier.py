"""What the verifier of API keys believes of the database, for how long, and how much of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.identity.api_keys import KeyRecord, NewKey, mint, refused_because
from app.identity.errors import Fault, Unauthenticated
from app.identity.key_verifier import REREAD_SECONDS, ApiKeyVerifier
from tests.identity.clock import Clock
from tests.identity.test_tokens import Database, key_verifier

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


async def fault_of(verifier: ApiKeyVerifier, key: NewKey) -> Fault | None:
    """Why a key is refused; None where it is accepted."""
    try:
        await verifier.verify(key.plaintext)
    except Unauthenticated as refused:
        return refused.fault
    return None


@pytest.mark.parametrize(
    ("changes", "fault"),
    [({}, None), ({"digest": mint("live").digest}, Fault.KEY_UNKNOWN), ({"environment": "test"}, Fault.KEY_UNKNOWN)],
)
async def test_a_record_that_is_not_the_keys_own_opens_nothing(changes: dict[str, Any], fault: Fault | None) -> None:
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
    for _ in range(2):  # looked up, and remembered
        assert await fault_of(verifier, key) is fault


async def test_a_key_of_an_environment_that_is_not_taken_is_not_looked_up() -> None:
    database, key = Database(), mint("test")
    database.add(key)
    assert await fault_of(key_verifier(database, environments=("live",)), key) is Fault.KEY_UNKNOWN
    assert database.asked == 0


@pytest.mark.parametrize(("after", "good"), [(timedelta(microseconds=1), True), (timedelta(0), False)])
async def test_a_key_ends_at_the_moment_of_its_expiry(after: timedelta, good: bool) -> None:
    database, key = Database(), mint("live")
    record = database.add(key, expires_at=NOW + after)
    verifier = key_verifier(database, now=lambda: NOW)
    for _ in range(2):
        assert await fault_of(verifier, key) is (None if good else Fault.KEY_EXPIRED)
    assert refused_because(record, ("live",), NOW) == ("" if good else "it expired at 2026-11-24T08:30:00Z")


def test_why_a_key_is_refused_is_said_of_its_environment_last() -> None:
    record = Database().add(mint("test"))
    assert refused_because(record, ("live", "test"), NOW) == ""
    assert refused_because(record, ("live",), NOW) == "test keys are not taken here"
    revoked = Database().add(mint("test"), revoked_at=NOW, expires_at=NOW)
    assert refused_because(revoked, ("live",), NOW) == "it was revoked at 2026-11-24T08:30:00Z"


def test_a_time_without_a_zone_is_no_end_of_a_key() -> None:
    with pytest.raises(ValueError, match="expires_at has no time zone"):
        Database().add(mint("live"), expires_at=NOW.replace(tzinfo=None))


class SlowDatabase(Database):
    """A database whose answers take a second of the clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    async def find(self, digest: bytes) -> KeyRecord | None:
        found = await super().find(digest)
        self.clock.now += 1
        return found


async def test_what_a_slow_look_up_found_is_as_old_as_its_question(clock: Clock) -> None:
    database, key, unknown = SlowDatabase(clock), mint("live"), mint("live")
    database.add(key)
    verifier = key_verifier(database, cache_seconds=10, clock=clock)
    for each, fault in ((key, None), (unknown, Fault.KEY_UNKNOWN)):
        began, asked = clock.now, database.asked
        assert await fault_of(verifier, each) is fault
        clock.now = began + 9.5
        assert await fault_of(verifier, each) is fault
        assert database.asked == asked + 1
        clock.now = began + 10
        assert await fault_of(verifier, each) is fault
        assert database.asked == asked + 2, "believed for as long as it is remembered, and not for a moment more"


async def test_late_news_count_from_when_they_were_asked_for(clock: Clock) -> None:
    database, key = Database(), mint("live")
    database.add(key)
    verifier = key_verifier(database, cache_seconds=10, clock=clock)
    began = clock.now
    await verifier.verify(key.plaintext)
    clock.now = began + 9
    verifier.heard((), began + 5)
    for seconds, asked in ((14.5, 1), (15, 2)):
        clock.now = began + seconds
        await verifier.verify(key.plaintext)
        assert database.asked == asked


async def test_with_news_a_key_is_read_again_now_and_then_counted_from_its_look_up(clock: Clock) -> None:
    database, key = SlowDatabase(clock), mint("live")
    database.add(key)
    verifier = key_verifier(database, cache_seconds=10, clock=clock)
    began = clock.now
    await verifier.verify(key.plaintext)
    for seconds, asked in ((REREAD_SECONDS - 0.5, 1), (REREAD_SECONDS, 2)):
        clock.now = began + seconds
        verifier.heard((), clock.now)
        await verifier.verify(key.plaintext)
        assert database.asked == asked


async def test_what_is_remembered_of_keys_is_bounded_and_the_oldest_goes_first() -> None:
    database, keys = Database(), [mint("live") for _ in range(4)]
    for key in keys:
        database.add(key)
    unknown = [mint("live") for _ in range(4)]
    verifier = key_verifier(database, max_known=3, max_unknown=3)
    for some in (keys, unknown):
        for key in some:
            await fault_of(verifier, key)
        asked = database.asked
        for key in reversed(some[1:]):
            await fault_of(verifier, key)
        assert database.asked == asked
        await fault_of(verifier, some[0])
        assert database.asked == asked + 1
    assert verifier.remembers == 3
