"""The background task of the decision log: batches, limits, failures and the stop."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import cast

import pytest
import structlog
from structlog.testing import LogCapture

from app import logs
from app.audit.batch import Batch
from app.audit.log import BATCH_SIZE, BatchNotStored, DecisionLog
from app.audit.record import Unverified
from app.identity.principal import ANONYMOUS, Principal, key_principal, user_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason
from app.policy.language.rule import Rule, RuleTerms
from tests.audit.stores import Store

pytestmark = pytest.mark.anyio

RULE = Rule(RuleTerms("teams.csv", frozenset({"catalog:read"}), ("GET",), "allow"), "/teams", 3)
ALLOW = Decision(True, Reason.ALLOWED, "rev", RULE)
DENY = Decision(False, Reason.NOT_HELD, "rev", None, ("catalog:read",))
CALLER = key_principal("owner", 7, "live", ["catalog:read"])


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[structlog.typing.EventDict]:
    """The log lines for operators."""
    capture = LogCapture()
    levels = structlog.make_filtering_bound_logger(0)
    logger = structlog.wrap_logger(None, processors=[capture], wrapper_class=levels)
    for module in ("log", "drops", "batch_builder"):
        monkeypatch.setattr(f"app.audit.{module}._log", logger)
    return capture.entries


def note(
    log: DecisionLog, outcome: Decision | Unverified = ALLOW, principal: Principal | None = CALLER, times: int = 1
) -> None:
    for _ in range(times):
        log.note("app", "/teams", "GET", principal, outcome, started=time.perf_counter_ns())


async def until(log: DecisionLog, **counts: object) -> None:
    async with asyncio.timeout(10):
        while any(getattr(log.health, name) != count for name, count in counts.items()):
            await asyncio.sleep(0.005)


async def test_a_record_has_caller_request_reason_and_revision(store: Store) -> None:
    before = time.time_ns() // 1000
    logs.request_id.set("r-1")
    async with DecisionLog(store.write) as log:
        started = time.perf_counter_ns() - 5_000_000
        log.note("app", "/teams", "GET", CALLER, ALLOW, started=started)
        person = user_principal("user_a", ["x", "a b"], {"jti": "j-1"})
        log.note("authzen", "record:7", "read", person, DENY, started=started)
        log.note("app", "/teams", "GET", None, Unverified("Token has expired.", "rev"), started=started)
    allowed, denied, unverified = store.records
    assert before <= allowed.at <= time.time_ns() // 1000
    assert 5_000 <= allowed.latency < 5_000_000
    assert (allowed.request_id, allowed.key.door, allowed.key.subject, allowed.key.method) == (
        "r-1",
        "app",
        "owner",
        "api_key",
    )
    assert (allowed.key.key_id, allowed.token_id, allowed.key.action, allowed.key.resource) == (
        7,
        None,
        "GET",
        "/teams",
    )
    assert (allowed.key.allowed, allowed.key.reason, allowed.key.revision) == (True, "a rule allows it", "rev")
    assert (allowed.key.rule_place, allowed.key.rule_text) == ("teams.csv:3", "p, catalog:read, /teams, GET, allow")
    assert (denied.key.allowed, denied.key.missing, denied.key.rule_place) == (False, ("catalog:read",), None)
    assert (denied.key.door, denied.token_id, denied.key.key_id, denied.key.resource) == (
        "authzen",
        "j-1",
        None,
        "record:7",
    )
    assert denied.key.grants is not None
    assert json.loads(denied.key.grants.text) == ["a b", "anyone", "auth:jwt", "user:", "x"], (
        "a space belongs to a grant"
    )
    assert denied.key.held == person.held
    assert (unverified.key.allowed, unverified.key.reason) == (False, "Token has expired.")
    assert (unverified.key.subject, unverified.key.method, unverified.key.grants) == ("", None, None)


async def test_decisions_are_written_in_short_batches(store: Store) -> None:
    async with DecisionLog(store.write, every_seconds=0.01) as log:
        note(log, times=BATCH_SIZE * 2 + 1)
        await until(log, written=BATCH_SIZE * 2 + 1, queued=0)
    assert [len(batch) for batch in store.batches] == [BATCH_SIZE, BATCH_SIZE, 1]


async def test_requests_are_served_while_a_batch_is_collected(store: Store) -> None:
    slices = list[int]()

    async def between_slices() -> None:
        slices.append(len(store.records))

    async with DecisionLog(store.write, between_slices=between_slices) as log:
        note(log, times=1_000)
        await until(log, written=1_000)
    assert len(slices) >= 10
    assert set(slices) == {0}


async def test_the_log_gives_way_unless_it_is_behind(store: Store) -> None:
    given = 0

    async def between_slices() -> None:
        nonlocal given
        given += 1

    log = DecisionLog(store.write, capacity=100, between_slices=between_slices)
    note(log, times=25)
    note(log, principal=None, times=1)
    await log.give_way()
    assert (log.is_behind, given) == (False, 1)
    note(log)
    await log.give_way()
    assert (log.is_behind, given) == (True, 1)
    async with log:
        await until(log, written=27)
    given = 0
    await log.give_way()
    assert (log.is_behind, given) == (False, 1)


async def test_a_full_queue_drops_and_counts_without_waiting(
    store: Store, said: list[structlog.typing.EventDict]
) -> None:
    async with DecisionLog(store.write, capacity=10, every_seconds=0.02) as log:
        note(log, DENY, times=25)
        assert (log.health.queued, log.health.dropped) == (10, 15)
        await until(log, written=10)
        note(log)
        await until(log, written=11)
    assert (log.health.dropped, log.health.queued) == (15, 0)
    assert [(entry["event"], entry["decisions"]) for entry in said] == [("decisions were dropped", 15)]


async def test_a_failed_write_is_retried_and_nothing_is_lost(
    store: Store, said: list[structlog.typing.EventDict]
) -> None:
    store.failing = BatchNotStored("OperationalError: database is locked")
    async with DecisionLog(store.write, every_seconds=0.005) as log:
        note(log, times=3)
        await until(log, failures=3)
        assert (log.health.error, log.health.queued) == ("OperationalError: database is locked", 3)
        note(log, DENY)
        store.failing = None
        await until(log, written=4)
    assert (log.health.error, log.health.dropped) == (None, 0)
    assert [record.key.allowed for record in store.records] == [True, True, True, False], "once each, in order"
    assert [entry["event"] for entry in said] == [
        "decisions cannot be written; trying again",
        "decisions are written again",
    ]


async def test_any_error_of_the_writer_is_tolerated(store: Store, said: list[structlog.typing.EventDict]) -> None:
    store.failing = RuntimeError("with the values of a row")
    async with DecisionLog(store.write, every_seconds=0.005) as log:
        note(log)
        await until(log, error="RuntimeError")
        store.failing = None
        await until(log, written=1)
    assert said[0]["exc_info"] is not None


async def test_a_batch_that_can_never_be_written_is_dropped_after_a_time(store: Store) -> None:
    store.failing = BatchNotStored("never")
    async with DecisionLog(store.write, every_seconds=0.005, give_up_seconds=0.05) as log:
        note(log, times=2)
        await until(log, dropped=2, queued=0)
        store.failing = None
        note(log)
        await until(log, written=1)


async def test_a_decision_without_a_valid_record_is_counted(
    store: Store, said: list[structlog.typing.EventDict]
) -> None:
    async with DecisionLog(store.write, every_seconds=0.005) as log:
        note(log, ALLOW, replace(CALLER, held=cast(frozenset[str], 7)))
        await until(log, dropped=1)
        note(log)
        await until(log, written=1)
    assert said[0]["event"] == "a decision cannot be recorded"


async def test_only_allows_are_sampled(store: Store) -> None:
    async with DecisionLog(store.write, sample=0.0) as log:
        note(log, times=50)
        note(log, DENY, times=50)
        note(log, Unverified("Invalid token.", "rev"), None, times=50)
    assert (log.health.sampled_out, log.health.written) == (50, 100)
    assert not any(record.key.allowed for record in store.records)
    async with DecisionLog(store.write, sample=0.5) as half:
        note(half, times=4_000)
    assert 1_700 < half.health.written < 2_300
    assert half.health.written + half.health.sampled_out == 4_000


async def test_a_stop_flushes_the_queue(store: Store) -> None:
    async with DecisionLog(store.write, every_seconds=60) as log:
        note(log, times=BATCH_SIZE + 5)
    assert (log.health.written, log.health.queued) == (BATCH_SIZE + 5, 0)


async def test_a_stop_without_a_working_writer_logs_the_loss(
    store: Store, said: list[structlog.typing.EventDict]
) -> None:
    store.failing = BatchNotStored("disk full")
    started = time.monotonic()
    async with DecisionLog(store.write, every_seconds=60) as log:
        note(log, times=3)
    assert time.monotonic() - started < 5
    assert (log.health.dropped, log.health.queued) == (3, 0)
    assert said[-1]["event"] == "decisions were lost at shutdown"
    assert said[-1]["decisions"] == 3


async def test_a_hanging_writer_does_not_delay_the_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.log._STOP_SECONDS", 0.1)

    async def hang(_batch: Batch) -> None:
        await asyncio.sleep(60)

    async with DecisionLog(hang, every_seconds=0.005) as log:
        note(log)
        await asyncio.sleep(0.05)
    assert log.health.dropped == 1


async def test_anonymous_callers_are_logged(store: Store) -> None:
    async with DecisionLog(store.write) as log:
        note(log, DENY, ANONYMOUS)
    (record,) = store.records
    assert (record.key.subject, record.key.method) == ("", "anonymous")
    assert record.key.grants is not None
    assert record.key.held == ANONYMOUS.held
