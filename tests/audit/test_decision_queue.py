"""The shares of the queue by class, and equal denials of callers without identity."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import pytest

from app.audit.batch import Batch
from app.audit.decision_queue import DecisionQueue
from app.audit.log import BATCH_SIZE, DecisionLog
from app.audit.record import Unverified
from app.identity.principal import ANONYMOUS, Principal, key_principal, user_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason
from app.policy.language.rule import Rule, RuleTerms
from tests.audit.stores import Store

pytestmark = pytest.mark.anyio

RULES = [Rule(RuleTerms("t.csv", frozenset({"x"}), ("GET",), "deny"), "/teams", line) for line in (1, 2)]
ALLOW = Decision(True, Reason.ALLOWED, "rev")
DENY = Decision(False, Reason.NOT_HELD, "rev", None, ("catalog:read",))
KEY = key_principal("owner", 7, "live", ["catalog:read"])
PERSON = user_principal("user_a", ["catalog:read"], {})
BAD = Unverified("Token has expired.", "rev")


def note(
    log: DecisionLog,
    principal: Principal | None,
    outcome: Decision | Unverified,
    *,
    times: int = 1,
    door: str = "app",
    resource: str = "/teams",
    action: str = "GET",
) -> None:
    for _ in range(times):
        log.note(door, resource, action, principal, outcome, started=time.perf_counter_ns())


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time in nanoseconds, which a test sets."""
    now = [1_800_000_000_000_000_000]
    monkeypatch.setattr("app.audit.log.time_ns", lambda: now[0])
    return now


FLOODS: dict[str, tuple[str, Principal | None, Decision | Unverified]] = {
    "anonymous denials": ("app", ANONYMOUS, DENY),
    "anonymous allows": ("nginx", ANONYMOUS, ALLOW),
    "bad credentials": ("envoy", None, BAD),
    "items": ("authzen", PERSON, ALLOW),
    "items about no subject": ("authzen", None, BAD),
    "items about services": ("authzen", replace(ANONYMOUS, subject="service:x"), DENY),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_loses_nothing_of_known_callers(store: Store, name: str) -> None:
    door, principal, outcome = FLOODS[name]
    async with DecisionLog(store.write, capacity=40, every_seconds=60) as log:
        for number in range(500):
            note(log, principal, outcome, door=door, resource=f"/x/{number}")
            if number % 50 == 0:
                note(log, KEY, DENY)
                note(log, PERSON, ALLOW, door="caddy")
        lost = {each: health.dropped for each, health in log.health.classes.items()}
        assert lost["known"] == 0
        assert sum(lost.values()) > 400
    known = [record for record in store.records if record.key.door != "authzen" and record.key.subject]
    assert len(known) == 20


@pytest.mark.parametrize("door", ["app", "nginx", "traefik", "caddy", "envoy", "console"])
async def test_known_callers_do_not_displace_others(store: Store, door: str) -> None:
    async with DecisionLog(store.write, capacity=40, every_seconds=60) as log:
        note(log, KEY, ALLOW, times=300, door=door)
        note(log, ANONYMOUS, DENY)
        note(log, PERSON, ALLOW, door="authzen", times=20)
        assert [health.dropped for health in log.health.classes.values()] == [260, 0, 0]
    assert Counter(record.key.door for record in store.records)["authzen"] == 20
    assert any(record.key.method == "anonymous" for record in store.records)


async def test_equal_denials_of_a_second_are_one_record(store: Store, clock: list[int]) -> None:
    async with DecisionLog(store.write, every_seconds=60) as log:
        for second in range(3):
            clock[0] = 1_800_000_000_000_000_000 + second * 1_000_000_000 + 5_000
            note(log, ANONYMOUS, DENY, times=100 + second)
            clock[0] += 900_000_000
            note(log, ANONYMOUS, DENY, times=7)
            note(log, None, BAD, times=3)
        assert log.health.queued == 6
    assert log.health.written == 3 * 100 + 3 + 3 * 10
    anonymous = [record for record in store.records if record.key.method == "anonymous"]
    assert [record.times for record in anonymous] == [107, 108, 109]
    assert [record.at % 1_000_000 for record in anonymous] == [5, 5, 5], "the time of the first"
    assert [record.times for record in store.records if record.key.method is None] == [3, 3, 3]


DIFFERENCES: dict[str, tuple[str, str, str, Principal | None, Decision | Unverified]] = {
    "door": ("nginx", "/teams", "GET", ANONYMOUS, DENY),
    "resource": ("app", "/games", "GET", ANONYMOUS, DENY),
    "action": ("app", "/teams", "POST", ANONYMOUS, DENY),
    "revision": ("app", "/teams", "GET", ANONYMOUS, replace(DENY, revision="other")),
    "reason": ("app", "/teams", "GET", ANONYMOUS, replace(DENY, reason=Reason.NO_ROUTE)),
    "missing": ("app", "/teams", "GET", ANONYMOUS, replace(DENY, missing=("catalog:write",))),
    "rule": ("app", "/teams", "GET", ANONYMOUS, replace(DENY, rule=RULES[0])),
    "another rule": ("app", "/teams", "GET", ANONYMOUS, replace(DENY, rule=RULES[1])),
    "credentials": ("app", "/teams", "GET", None, BAD),
    "fault": ("app", "/teams", "GET", None, Unverified("Invalid token.", "rev")),
}


async def test_equal_denials_of_two_runs_are_one_record_and_stay_in_order(store: Store, clock: list[int]) -> None:
    async with DecisionLog(store.write, every_seconds=0.001) as log:
        note(log, ANONYMOUS, DENY, times=5)
        await asyncio.sleep(0.02)
        assert store.records == [], "their second is not over"
        note(log, ANONYMOUS, DENY, times=5)
        clock[0] += 1_000_000
        note(log, KEY, DENY)
        async with asyncio.timeout(10):
            while not store.records:
                await asyncio.sleep(0.001)
    assert [(record.key.method, record.times) for record in store.records] == [("anonymous", 10), ("api_key", 1)]


async def test_denials_that_differ_are_records_of_their_own(store: Store, clock: list[int]) -> None:
    requests = [("app", "/teams", "GET", ANONYMOUS, DENY), *DIFFERENCES.values()] * 5
    random.shuffle(requests)
    async with DecisionLog(store.write, every_seconds=60) as log:
        for door, resource, action, principal, outcome in requests:
            # An equal one, but not the same object, as without a cache.
            note(log, principal, replace(outcome), door=door, resource=resource, action=action)
    assert len({record.key for record in store.records}) == len(store.records) == 1 + len(DIFFERENCES)
    assert {record.times for record in store.records} == {5}
    del clock


async def test_allows_and_denials_of_known_callers_are_not_merged(store: Store) -> None:
    async with DecisionLog(store.write, every_seconds=60) as log:
        note(log, ANONYMOUS, ALLOW, times=5)
        note(log, KEY, DENY, times=5)
        note(log, None, BAD, times=5, door="authzen")
    assert [record.times for record in store.records] == [1] * 15


async def test_random_counts_add_up(store: Store) -> None:
    sent = Counter[str]()
    async with DecisionLog(store.write, every_seconds=0.005) as log:
        for _ in range(2_000):
            resource = f"/r/{random.randrange(5)}"
            sent[resource] += 1
            note(log, ANONYMOUS, DENY, resource=resource)
    written = Counter[str]()
    for record in store.records:
        written[record.key.resource] += record.times
    assert written == sent
    assert log.health.dropped == 0


async def test_different_denials_are_bounded_and_equal_ones_still_count(store: Store, clock: list[int]) -> None:
    async with DecisionLog(store.write, capacity=40, every_seconds=60) as log:
        for number in range(50):
            note(log, ANONYMOUS, DENY, resource=f"/x/{number}")
        note(log, ANONYMOUS, DENY, resource="/x/3", times=9)
        assert log.health.classes["anonymous"].dropped == 40
    assert sorted(record.times for record in store.records) == [*[1] * 9, 10]
    del clock


async def test_equal_refusals_of_tokens_over_authzen_are_one_record_and_keep_the_room(
    store: Store, clock: list[int]
) -> None:
    async with DecisionLog(store.write, capacity=80, every_seconds=60) as log:  # room for 40
        for second in range(3):
            clock[0] += second * 1_000_000_000
            for _ in range(500):
                log.note_refused_token("GET", BAD, started=time.perf_counter_ns())
        async with log.room_for(37):
            note(log, PERSON, ALLOW, door="authzen", times=37)
            assert not log.has_room
        assert [health.dropped for health in log.health.classes.values()] == [0, 0, 0]
        assert log.health.classes["authzen"].queued == 40
    refused = [record for record in store.records if record.key.reason == BAD.reason]
    assert [record.times for record in refused] == [500] * 3
    assert {(record.key.door, record.key.method, record.key.subject) for record in refused} == {("authzen", None, "")}
    assert len(store.records) == 40


async def test_different_refusals_of_tokens_take_an_eighth_of_the_room(store: Store, clock: list[int]) -> None:
    async with DecisionLog(store.write, capacity=80, every_seconds=60) as log:
        for number in range(100):
            log.note_refused_token(f"X{number}", BAD, started=time.perf_counter_ns())
        log.note_refused_token("X3", BAD, started=time.perf_counter_ns())
        assert log.health.classes["authzen"].queued == 5
        assert log.health.classes["authzen"].dropped == 95
        note(log, PERSON, ALLOW, door="authzen", times=35)
    assert sorted(record.times for record in store.records) == [*[1] * 39, 2]
    del clock


def queue_of(**numbers: int) -> DecisionQueue:
    """A queue with so many decisions of each class."""
    queue = DecisionQueue(20_000)
    for share in queue.shares:
        for number in range(numbers[share.name]):
            share.waiting.append((number, 0, "", share.name, "", "", None, DENY, 1))
    return queue


@pytest.mark.parametrize(
    ("numbers", "taken"),
    [
        ((9_000, 9_000, 4_000), (1_000, 750, 250)),
        ((9_000, 0, 0), (2_000, 0, 0)),
        ((0, 9_000, 4_000), (0, 1_750, 250)),
        ((10, 9_000, 10), (10, 1_980, 10)),
        ((1_500, 300, 0), (1_500, 300, 0)),
        ((3, 0, 4_000), (3, 0, 1_997)),
    ],
)
def test_a_batch_has_decisions_of_all_classes(numbers: Iterable[int], taken: Iterable[int]) -> None:
    queue = queue_of(**dict(zip(("known", "authzen", "anonymous"), numbers, strict=True)))
    found = queue.take(BATCH_SIZE)
    assert tuple(Counter(each[3] for each in found)[name] for name in ("known", "authzen", "anonymous")) == taken
    assert [each[0] for each in found] == sorted(each[0] for each in found), "in the order of their times"


async def test_a_held_class_waits_in_its_share_and_delays_no_other() -> None:
    store = Store()
    async with DecisionLog(store.write, every_seconds=0.01, capacity=40) as log:
        log.hold({"authzen", "anonymous"})
        note(log, KEY, ALLOW, times=5)
        note(log, PERSON, ALLOW, times=15, door="authzen")
        note(log, None, BAD)
        async with asyncio.timeout(5):
            while log.health.written < 5:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert (log.health.written, log.health.queued, log.health.dropped) == (5, 16, 0)
        note(log, PERSON, ALLOW, times=10, door="authzen")
        assert not log.has_room
        assert log.health.classes["authzen"].dropped == 5, "the share is full"
        log.hold(frozenset())
        async with asyncio.timeout(5):
            while log.health.written < 26:
                await asyncio.sleep(0.01)
        log.hold({"authzen"})
        note(log, PERSON, ALLOW, times=3, door="authzen")
    assert log.health.written == 29, "at the end all are written"


async def test_what_is_held_while_the_log_ends_is_written_too() -> None:
    store = Store()

    async def write(batch: Batch) -> None:
        await store.write(batch)
        log.hold({"authzen"})

    async with DecisionLog(write, every_seconds=0.01, capacity=9_000) as log:
        note(log, PERSON, ALLOW, times=1)
        async with asyncio.timeout(5):
            while log.health.written < 1:
                await asyncio.sleep(0.01)
        note(log, PERSON, ALLOW, times=2 * BATCH_SIZE + 1, door="authzen")
    assert (log.health.written, log.health.dropped) == (2 * BATCH_SIZE + 2, 0)


async def test_principals_with_many_grants_take_more_room_until_they_are_written() -> None:
    store = Store()
    log = DecisionLog(store.write, capacity=200)  # 100 of AuthZEN
    many = [user_principal(f"user_{number}", [f"p{each}" for each in range(600)], {}) for number in range(3)]
    note(log, many[0], ALLOW, door="authzen", times=30)
    assert log.has_room, "they share a principal"
    note(log, many[1], ALLOW, door="app", times=30)
    assert log.has_room, "at other doors there are no more grants than fit in a token"
    note(log, many[1], ALLOW, door="authzen")
    assert not log.has_room, "30 decisions and 41 entries for each principal, and one decision"
    assert log.health.dropped == 0
    async with log:
        """What waits is written on leaving."""
    assert log.has_room
    assert len(store.records) == 61
    note(log, many[2], ALLOW, door="authzen")
    assert log.has_room


@pytest.mark.parametrize("kind", ["grants", "names", "subject"])
async def test_long_names_and_grants_take_room_by_their_length(kind: str) -> None:
    log = DecisionLog(Store().write, capacity=200)  # 100 of AuthZEN
    for number in range(50):
        assert log.has_room, number
        person = user_principal("u" * 500 if kind == "subject" else "u", ["p" * 1_000] if kind == "grants" else [], {})
        resource, action = ("r" * 400, "a" * 100) if kind == "names" else ("/teams", "GET")
        note(log, person, ALLOW, door="authzen", resource=f"{resource}{number}", action=action)
    note(log, PERSON, ALLOW, door="authzen", times=30)
    assert not log.has_room, "80 decisions, of which 50 have more than a kilobyte or a half"
