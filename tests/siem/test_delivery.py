"""Deliveries to a real receiver: at least once, in order, resumed, and without giving up what can be delivered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from app.audit.actor import FILES
from app.audit.batch import Batch
from app.audit.chain.signatures import SigningKey
from app.audit.drops import DropWindow
from app.db import admin_actions, chain_store
from app.db.decision_drops import DropStore
from app.db.decision_times import DAY
from app.db.decision_writer import DecisionWriter
from app.db.disk import DiskSpace
from app.db.old_decisions import OldDecisions
from app.db.partitions import drop_one_before, make_ahead
from app.db.session import Sessions
from app.db.siem_cursors import Cursor, LeaseLost, SiemCursors
from app.db.siem_gaps import DeletedRecord, note_deleted
from app.siem import delivery, export
from app.siem.delivery import Delivery, retry_seconds
from app.siem.destination import Format, new_destination
from app.siem.log_readers import AdminReader, DecisionReader, DropReader, LogReader, SealReader
from app.siem.sender import Sender
from app.siem.status import read_statuses
from tests.db.records import RECORD, varied
from tests.support.databases import Kind
from tests.support.siem_receiver import ReceivedBatch, ReceiverAnswer, SiemReceiver

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
AT = 1_763_629_200_000_000
FORMATS: tuple[Format, ...] = ("cloudevents", "otlp")
# Of what does not depend on the database.
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture
def receiver() -> Iterator[SiemReceiver]:
    with SiemReceiver() as started:
        yield started


class Deliverer:
    """A process that delivers one log."""

    def __init__(
        self, sessions: Sessions, url: str, name: Format = "cloudevents", log: LogReader | None = None
    ) -> None:
        destination = new_destination(name, f"{url}/events", ("X-Token", "s3cret"), "https://authz.example")
        self.sender = Sender(destination)
        self.cursors = SiemCursors(sessions)
        self.delivery = Delivery(
            destination, log or DecisionReader(sessions), self.cursors, self.sender, lambda: asyncio.sleep(0)
        )

    async def deliver(self) -> Cursor:
        await self.delivery.deliver(asyncio.Event())
        return (await self.cursors.read(self.delivery.destination.name, self.delivery.log.name))[0]


@pytest.fixture
async def deliverer(sessions: Sessions, receiver: SiemReceiver) -> AsyncIterator[Deliverer]:
    made = Deliverer(sessions, receiver.url)
    yield made
    await made.sender.close()


async def write(sessions: Sessions, first: int, count: int) -> None:
    records = (varied(RECORD, at=AT + number, subject=f"user_{number}") for number in range(first, first + count))
    await DecisionWriter(sessions).write(Batch.of(records))


def ids(*numbers: int) -> list[str]:
    return [f"decision-{number}-{AT + number - 1}" for number in numbers]


async def make_due(sessions: Sessions) -> None:
    """Let the time for the retry come."""
    async with sessions() as session:
        await session.execute(text("UPDATE siem_cursors SET retry_at = 0"))
        await session.commit()


@pytest.mark.parametrize("name", FORMATS)
async def test_decisions_arrive_once_and_in_order(
    sessions: Sessions, receiver: SiemReceiver, name: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE_SIZE", 40)
    process = Deliverer(sessions, receiver.url, name)
    await write(sessions, 0, 100)
    cursor = await process.deliver()
    assert receiver.ids == ids(*range(1, 101))
    assert (cursor.position, cursor.delivered) == (100, 100)
    await process.deliver()
    await write(sessions, 100, 3)
    await process.deliver()
    assert receiver.ids == ids(*range(1, 104))
    assert process.delivery.counts.delivered == 103
    batch, _ = receiver.batches[0]
    assert (batch.path, batch.headers["X-Token"]) == ("/events", "s3cret")
    assert (
        batch.headers["Content-Type"]
        == {
            "cloudevents": "application/cloudevents-batch+json",
            "otlp": "application/json",
        }[name]
    )
    await process.sender.close()


@on_sqlite
async def test_requests_are_bounded_by_their_size(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "MAX_BYTES", 5_000)
    await write(sessions, 0, 30)
    await deliverer.deliver()
    assert receiver.ids == ids(*range(1, 31))
    assert len(receiver.batches) > 5
    assert max(len(batch.content) for batch, _ in receiver.batches) < 5_100


async def test_administrative_acts_and_losses_arrive(sessions: Sessions, receiver: SiemReceiver) -> None:
    acts = Deliverer(sessions, receiver.url, log=AdminReader(sessions))
    drops = Deliverer(sessions, receiver.url, log=DropReader(sessions))
    async with sessions() as session:
        for number in range(3):
            admin_actions.record(session, FILES, "policy.files", f"revision-{number}", now=NOW)
            await session.flush()
        await session.commit()
    store = DropStore(sessions)
    known, anonymous = DropWindow("known", AT, AT + 5, 2), DropWindow("anonymous", AT, AT + 9, 7)
    await store.write([known, anonymous])
    for process in (acts, drops):
        await process.deliver()
    assert [event["entity"]["uid"] for event in receiver.events[:3]] == ["revision-0", "revision-1", "revision-2"]
    assert {event["time"] for event in receiver.events[:3]} == {int(NOW.timestamp()) * 1000}
    assert [event["count"] for event in receiver.events[3:]] == [2, 7]
    # A window that goes on is sent again, since the SIEM has a smaller number.
    known.count, known.last_at = 5, AT + 20
    await store.write([known])
    await drops.deliver()
    await drops.deliver()
    assert [(event["count"], event["unmapped"]["window"]) for event in receiver.events[5:]] == [(5, known.id)]
    for process in (acts, drops):
        await process.sender.close()


@on_sqlite
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (ReceiverAnswer(500), "HTTP 500"),
        (ReceiverAnswer(503), "HTTP 503"),
        (ReceiverAnswer(401), "HTTP 401: correct AUTHZ_SIEM_CLOUDEVENTS_HEADER"),
        (ReceiverAnswer(404), "HTTP 404"),
        (ReceiverAnswer(None), "no answer (RemoteProtocolError)"),
        (
            ReceiverAnswer(307, {"Location": "http://127.0.0.1:1/"}),
            "HTTP 307: a redirect, which is not followed; correct AUTHZ_SIEM_CLOUDEVENTS_URL",
        ),
    ],
)
async def test_a_failure_is_retried_until_the_destination_accepts(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer, answer: ReceiverAnswer, error: str
) -> None:
    await write(sessions, 0, 5)
    receiver.answer = lambda _batch: answer
    cursor = await deliverer.deliver()
    assert (cursor.position, cursor.failures, cursor.error, cursor.holder) == (0, 1, error, None)
    assert len(receiver.batches) == 1
    await deliverer.deliver()
    assert len(receiver.batches) == 1, "not before the time for a retry"
    (status,) = await read_statuses(sessions)
    assert (status.pending, status.error) == (5, error)
    assert status.failed_since is not None
    receiver.answer = lambda _batch: ReceiverAnswer()
    await make_due(sessions)
    cursor = await deliverer.deliver()
    assert receiver.ids == ids(1, 2, 3, 4, 5)
    assert (cursor.failures, cursor.error, cursor.failed_since, cursor.refused) == (0, "", None, 0)


@on_sqlite
async def test_a_destination_that_is_away_is_a_failure(sessions: Sessions) -> None:
    process = Deliverer(sessions, "http://127.0.0.1:1")
    await write(sessions, 0, 1)
    cursor = await process.deliver()
    assert cursor.error.startswith("no connection: ")
    assert "127.0.0.1" not in cursor.error, "an address may contain a secret"
    await process.sender.close()


@on_sqlite
async def test_the_time_of_a_retry_is_that_of_the_destination(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer
) -> None:
    await write(sessions, 0, 1)
    receiver.answer = lambda _batch: ReceiverAnswer(429, {"Retry-After": "77"})
    await deliverer.deliver()
    cursor, now = await deliverer.cursors.read("cloudevents", "decisions")
    assert 70_000_000 < cursor.retry_at - now <= 77_000_000


@on_sqlite
@pytest.mark.parametrize("status", [400, 413, 422])
async def test_only_records_that_are_refused_are_given_up(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer, status: int
) -> None:
    await write(sessions, 0, 20)
    bad = set(ids(3, 4, 11, 20))
    receiver.answer = lambda batch: ReceiverAnswer(status if bad & set(batch.ids) else 200)
    cursor = await deliverer.deliver()
    notices = [event for event in receiver.events if event["class_uid"] == 1008]
    assert [event["unmapped"]["refused"] for event in notices] == ids(3, 4, 11, 20)
    assert {event["status_code"] for event in notices} == {str(status)}
    decided = [event["metadata"]["uid"] for event in receiver.events if event["class_uid"] == 6003]
    assert decided == [each for each in ids(*range(1, 21)) if each not in bad]
    assert (cursor.position, cursor.delivered, cursor.refused) == (20, 16, 4)
    assert cursor.refused_at is not None
    (shown,) = await read_statuses(sessions)
    assert (shown.delivered, shown.refused, shown.error) == (16, 4, "")


@on_sqlite
async def test_a_destination_that_refuses_everything_loses_nothing(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer
) -> None:
    await write(sessions, 0, 9)
    receiver.answer = lambda _batch: ReceiverAnswer(400)
    cursor = await deliverer.deliver()
    assert (cursor.position, cursor.refused, cursor.error) == (0, 0, "HTTP 400: it accepts no record at all")
    receiver.answer = lambda _batch: ReceiverAnswer()
    await make_due(sessions)
    await deliverer.deliver()
    assert receiver.ids == ids(*range(1, 10))


@on_sqlite
async def test_records_that_a_collector_rejects_are_counted(sessions: Sessions, receiver: SiemReceiver) -> None:
    process = Deliverer(sessions, receiver.url, "otlp")
    await write(sessions, 0, 5)
    content = b'{"partialSuccess": {"rejectedLogRecords": "2", "errorMessage": "too old"}}'
    receiver.answer = lambda _batch: ReceiverAnswer(200, {"Content-Type": "application/json"}, content)
    cursor = await process.deliver()
    assert (cursor.position, cursor.delivered, cursor.refused) == (5, 3, 2)
    assert len(receiver.batches) == 1, "by the protocol, it is not sent again"
    await process.sender.close()


async def test_one_process_delivers_at_a_time(sessions: Sessions, receiver: SiemReceiver) -> None:
    await write(sessions, 0, 5)
    first, second = Deliverer(sessions, receiver.url), Deliverer(sessions, receiver.url)
    claimed = await first.cursors.claim("cloudevents", "decisions")
    assert claimed is not None
    await second.deliver()
    assert receiver.batches == []
    cursor, now = await second.cursors.read("cloudevents", "decisions")
    assert not second.cursors.may_claim(cursor, now)
    assert second.cursors.may_claim(cursor, cursor.leased_until + 1)
    # The first one is killed: its lease ends.
    async with sessions() as session:
        await session.execute(text("UPDATE siem_cursors SET leased_until = 1"))
        await session.commit()
    await second.deliver()
    assert receiver.ids == ids(1, 2, 3, 4, 5)
    # It was only paused: it neither moves the position back, nor delivers on.
    with pytest.raises(LeaseLost):
        await first.cursors.advance(claimed, 3, delivered=3)
    with pytest.raises(LeaseLost):
        await first.cursors.renew(claimed)
    for process in (first, second):
        await process.sender.close()


@on_sqlite
async def test_the_lease_is_renewed_during_a_slow_answer(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "LEASE_SECONDS", 0.06)
    await write(sessions, 0, 1)
    answering = threading.Event()

    def answer(_batch: ReceivedBatch) -> ReceiverAnswer:
        answering.wait(10)
        return ReceiverAnswer()

    receiver.answer = answer
    delivering = asyncio.create_task(deliverer.deliver())
    until: set[int] = set()
    while len(until) < 4:
        until.add((await deliverer.cursors.read("cloudevents", "decisions"))[0].leased_until)
        await asyncio.sleep(0.01)
    answering.set()
    assert (await delivering).delivered == 1


async def test_entries_of_the_chain_arrive_and_one_that_no_program_wrote_is_an_error(
    kind: Kind, sessions: Sessions, receiver: SiemReceiver
) -> None:
    process = Deliverer(sessions, receiver.url, log=SealReader(sessions))
    key = SigningKey(Ed25519PrivateKey.generate())
    async with sessions() as session:
        first = await chain_store.add(session, "decisions", None, key, up_to_id=7)
        second = await chain_store.add(session, "decisions", first, None, up_to_id=9)
        await session.commit()
    await process.deliver()
    heads = [event["unmapped"]["head"] for event in receiver.events]
    assert heads == [str(first.head), str(second.head)]
    sealed, unsealed = (event["unmapped"] for event in receiver.events)
    assert first.signature is not None
    assert (sealed["key_id"], sealed["signature"]) == (key.key_id, first.signature.value.hex())
    assert (unsealed["key_id"], unsealed["signature"]) == ("", "")
    async with sessions() as session:
        await chain_store.add(session, "decisions", second, None, up_to_id=11)
        if kind == "sqlite":  # PostgreSQL has no values of another type
            await session.execute(text("UPDATE chain_entries SET previous = 'x' WHERE sequence = 3"))
        await session.commit()
    cursor = await process.deliver()
    if kind == "sqlite":
        assert cursor.error == "a record cannot be sent: TypeError"
        (status,) = await read_statuses(sessions)
        assert (status.pending, status.lag_seconds, status.error) == (1, None, cursor.error)
    await process.sender.close()


@on_sqlite
async def test_a_stop_waits_for_no_answer_and_lets_others_go_on(
    sessions: Sessions, url: str, receiver: SiemReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_STOP_SECONDS", 0.1)
    await write(sessions, 0, 1)
    arrived, answering = threading.Event(), threading.Event()

    def answer(_batch: ReceivedBatch) -> ReceiverAnswer:
        arrived.set()
        answering.wait(10)
        return ReceiverAnswer()

    receiver.answer = answer
    destination = new_destination("otlp", receiver.url, None, None)
    exporting = export.SiemExport(
        [destination], sessions, DiskSpace(url, 0), lambda: asyncio.sleep(0), poll_seconds=0.01
    )
    stop = asyncio.Event()
    running = asyncio.create_task(exporting.run(stop))
    assert await asyncio.to_thread(arrived.wait, 10)
    stop.set()
    await asyncio.wait_for(running, 5)
    answering.set()
    other = Deliverer(sessions, receiver.url, "otlp")
    await other.deliver()
    assert set(receiver.ids) == set(ids(1))
    await other.sender.close()


async def test_processes_that_deliver_together_skip_nothing(
    sessions: Sessions, receiver: SiemReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PAGE_SIZE", 7)
    processes = [Deliverer(sessions, receiver.url) for _ in range(2)]

    async def keep_delivering(process: Deliverer) -> None:
        while len(set(receiver.ids)) < 60:
            await process.deliver()

    await asyncio.gather(*map(keep_delivering, processes), *(write(sessions, 0, 15) for _ in range(4)))
    positions = [int(each.split("-")[1]) for each in receiver.ids]
    assert sorted(set(positions)) == list(range(1, 61))
    for process in processes:
        await process.sender.close()


async def test_records_that_were_deleted_before_their_delivery_are_reported(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer
) -> None:
    await write(sessions, 0, 2)
    await deliverer.deliver()
    await write(sessions, 2, 8)
    receiver.answer = lambda _batch: ReceiverAnswer(503)
    await deliverer.deliver()

    # All decisions are of one second, and the store deletes by rows what has no partition.
    store = OldDecisions(sessions)
    until = (AT // DAY + 1) * DAY
    assert await store.delete_before(until, 4) == 4  # two of these were delivered
    assert await store.delete_before(until, 1) == 1
    (status,) = await read_statuses(sessions)
    assert status.missed == 3
    receiver.answer = lambda _batch: ReceiverAnswer()
    await make_due(sessions)
    cursor = await deliverer.deliver()
    gap, *rest = receiver.events[2:]
    assert (gap["class_uid"], gap["activity_id"], gap["count"]) == (1008, 2, 3)
    assert (gap["start_time"], gap["end_time"]) == ((AT + 2) // 1000, (AT + 4) // 1000)
    assert [event["metadata"]["uid"] for event in rest] == ids(6, 7, 8, 9, 10)
    assert (cursor.gap, cursor.missed, cursor.position) == (None, 3, 10)
    # What is deleted after its delivery is no gap.
    assert await store.delete_before(until, 2) == 2
    assert (await deliverer.cursors.read("cloudevents", "decisions"))[0].gap is None


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_a_partition_that_is_dropped_before_its_delivery_is_reported(
    sessions: Sessions, receiver: SiemReceiver, deliverer: Deliverer
) -> None:
    day = datetime(2031, 5, 6, tzinfo=UTC)
    at = int(day.timestamp()) * 1_000_000
    async with sessions() as session:
        await (await session.connection()).run_sync(make_ahead, day)
        await session.commit()
    records = [varied(RECORD, at=at + number * 1_000_000) for number in range(10)]
    await DecisionWriter(sessions).write(Batch.of(records[:4]))
    await deliverer.deliver()
    await DecisionWriter(sessions).write(Batch.of(records[4:]))
    async with sessions() as session:
        connection = await session.connection()
        while "decision_rows_20310506" not in await connection.run_sync(drop_one_before, at + DAY):
            pass
        await session.commit()
    await deliverer.deliver()
    (gap,) = receiver.events[4:]
    assert (gap["count"], gap["start_time"], gap["end_time"]) == (6, at // 1000, at // 1000 + 9_999)


async def test_a_gap_that_grows_while_it_is_reported_stays(sessions: Sessions, deliverer: Deliverer) -> None:
    cursor = await deliverer.cursors.claim("cloudevents", "decisions")
    assert cursor is not None

    async def delete(*numbers: int) -> None:
        async with sessions() as session:
            connection = await session.connection()
            records = [DeletedRecord(number, AT + number) for number in numbers]
            await connection.run_sync(note_deleted, "decisions", records)
            await session.commit()

    await delete(1, 2)
    cursor = await deliverer.cursors.renew(cursor)
    assert cursor.gap is not None
    await delete(3)
    after = await deliverer.cursors.advance(cursor, 0, gap=cursor.gap)
    assert after.gap is not None
    assert (after.gap.records, after.gap.last_id, after.missed) == (1, 3, 3)


def test_pauses_grow_and_have_a_limit() -> None:
    for failures, longest in ((0, 1), (1, 2), (5, 32), (12, 300), (10_000, 300)):
        assert longest / 2 <= retry_seconds(failures, None) <= longest
    assert retry_seconds(0, 100.0) == 100
    assert retry_seconds(0, 1e9) == 3600
    assert 150 <= retry_seconds(12, 3.0) <= 300
