"""The record of decisions that were lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import LogCapture

from app.audit.batch import Batch
from app.audit.drops import Drops, DropWindow, Loss
from app.audit.log import BatchNotStored, DecisionLog
from app.identity.principal import ANONYMOUS, Principal, key_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason

pytestmark = pytest.mark.anyio

DENY = Decision(False, Reason.NOT_HELD, "rev", None, ("catalog:read",))
KEY = key_principal("owner", 7, "live", [])
SECOND = 1_000_000


class Store:
    """Accepts batches and windows unless it is set to fail."""

    def __init__(self) -> None:
        self.failing = False
        self.windows: dict[str, DropWindow] = {}
        self.written = 0

    async def write(self, batch: Batch) -> None:
        if self.failing:
            raise BatchNotStored("down")
        self.written += len(batch)

    async def write_drops(self, windows: Sequence[DropWindow]) -> None:
        if self.failing:
            raise BatchNotStored("down")
        self.windows |= {window.id: window for window in windows}


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[structlog.typing.EventDict]:
    """The log lines for operators."""
    capture = LogCapture()
    logger = structlog.wrap_logger(
        None, processors=[merge_contextvars, capture], wrapper_class=structlog.make_filtering_bound_logger(0)
    )
    for module in ("log", "drops"):
        monkeypatch.setattr(f"app.audit.{module}._log", logger)
    return capture.entries


def note(log: DecisionLog, principal: Principal | None, times: int, door: str = "app") -> None:
    for number in range(times):
        log.note(door, f"/x/{number}", "GET", principal, DENY, started=time.perf_counter_ns())


async def test_losses_are_stored_with_class_time_and_number() -> None:
    store = Store()
    before = time.time_ns() // 1000
    async with DecisionLog(store.write, write_drops=store.write_drops, capacity=8, every_seconds=0.01) as log:
        note(log, KEY, 11)
        note(log, KEY, 9, door="authzen")
        note(log, ANONYMOUS, 7)
        async with asyncio.timeout(10):
            while len(store.windows) < 3:
                await asyncio.sleep(0.005)
        note(log, KEY, 10)
    after = time.time_ns() // 1000
    found = {window.decision_class: window for window in store.windows.values()}
    assert {name: window.count for name, window in found.items()} == {"known": 5, "authzen": 5, "anonymous": 5}
    assert len(store.windows) == 3, "a window that goes on replaces itself"
    for window in found.values():
        assert before <= window.first_at <= window.last_at <= after
    assert log.health.last_drop_at is not None


async def test_losses_are_stored_once_the_writer_can_write_again() -> None:
    store = Store()
    store.failing = True
    async with DecisionLog(
        store.write, write_drops=store.write_drops, capacity=8, every_seconds=0.005, give_up_seconds=0.05
    ) as log:
        note(log, KEY, 10)
        async with asyncio.timeout(10):
            while log.health.dropped < 10:
                await asyncio.sleep(0.005)
            assert store.windows == {}
            store.failing = False
            while not store.windows or log.health.error:
                await asyncio.sleep(0.005)
    (window,) = store.windows.values()
    assert (window.decision_class, window.count) == ("known", 10), "those that had no room, and the batch"
    assert store.written == 0


async def test_the_line_about_losses_does_not_have_the_id_of_the_request_that_comes_then(
    lines: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.drops.REPORT_SECONDS", 0.01)
    drops = Drops()
    with bound_contextvars(request_id="of-a-request"):
        for expected in (1, 2):
            drops.add([Loss("known", 1_000_000)])
            async with asyncio.timeout(10):
                while len(lines) < expected:
                    await asyncio.sleep(0.005)
    drops.close()
    assert [line["decisions"] for line in lines] == [1, 1]
    assert not [line for line in lines if "request_id" in line]


async def test_losses_are_logged_at_once_and_then_once_a_second(
    lines: list[structlog.typing.EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.drops.REPORT_SECONDS", 0.05)
    taken, written = asyncio.Event(), asyncio.Event()

    async def hang(_batch: Batch) -> None:
        taken.set()
        await written.wait()

    async with DecisionLog(hang, capacity=8, every_seconds=0.001) as log:
        note(log, KEY, 8)
        await taken.wait()
        note(log, KEY, 11)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [line["classes"] for line in lines] == [{"known": 3}], "during the flood"
        for _ in range(50):
            note(log, KEY, 1)
            note(log, KEY, 1, door="authzen")
            await asyncio.sleep(0.001)
        written.set()
    assert {line["event"] for line in lines} == {"decisions were dropped"}
    assert len(lines) < 10
    assert sum(line["decisions"] for line in lines) == log.health.dropped
    assert lines[-1]["classes"].keys() == {"known", "authzen"}


async def test_a_window_ends_when_it_is_stored_and_old() -> None:
    drops = Drops()
    drops.add([Loss("known", 100 * SECOND), Loss("known", 105 * SECOND, 3)])
    drops.add([Loss("known", 200 * SECOND)])
    (window,) = drops.unstored()
    assert (window.first_at, window.last_at, window.count) == (100 * SECOND, 200 * SECOND, 5), "not stored yet"
    drops.add([Loss("known", 201 * SECOND)])
    drops.mark_stored([window])
    (grown,) = drops.unstored()
    assert (grown.id, grown.count) == (window.id, 6), "a loss during the write is not forgotten"
    drops.mark_stored([grown])
    assert drops.unstored() == []
    drops.add([Loss("known", 230 * SECOND), Loss("authzen", 230 * SECOND)])
    assert [(each.decision_class, each.first_at, each.count) for each in drops.unstored()] == [
        ("known", 230 * SECOND, 1),
        ("authzen", 230 * SECOND, 1),
    ]
    assert window.id not in {each.id for each in drops.unstored()}
    drops.close()


async def test_losses_at_shutdown_are_stored_if_the_database_answers() -> None:
    store = Store()

    async def fail(_batch: Batch) -> None:
        raise BatchNotStored("only this")

    async with DecisionLog(fail, write_drops=store.write_drops, every_seconds=60) as log:
        note(log, KEY, 3)
        note(log, None, 2, door="authzen")
    assert {window.decision_class: window.count for window in store.windows.values()} == {"known": 3, "authzen": 2}
