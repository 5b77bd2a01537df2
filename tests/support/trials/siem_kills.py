"""Kill servers that deliver their logs to a SIEM, and compare what arrived with the database."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx

from app.audit.admin_log import AdminFilter
from app.audit.decision_filter import DecisionFilter
from app.db import admin_actions, decisions
from app.db.engine import open_engine
from app.db.session import sessions_of
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually
from tests.support.siem_receiver import ReceiverAnswer, SiemReceiver

_WITHIN = 2.0  # seconds between two kills
_COMPLETE_SECONDS = 60.0


def siem_kills(times: int, seed: int, *, issuer: LiveIssuer, url: str, place: Path) -> Iterator[str]:
    """Kill one of two servers that share a database, `times` times; yield the faults.

    Meanwhile requests are decided and keys issued, and one answer in five of the receiver is an error, or none.
    """
    chosen = random.Random(seed)
    with SiemReceiver() as receiver:
        receiver.answer = lambda _batch: _answer(chosen)
        servers = [_server(place / str(number), issuer, url, receiver, number) for number in range(2)]
        stop = threading.Event()
        requests = [threading.Thread(target=_send_requests, args=(server, issuer, stop)) for server in servers]
        try:
            for server in servers:
                server.start()
            for thread in requests:
                thread.start()
            for number in range(1, times + 1):
                time.sleep(chosen.uniform(0.0, _WITHIN))
                server = chosen.choice(servers)
                server.signal(signal.SIGKILL)
                server.stop()
                server.lines.clear()
                server.start()
                if number % 10 == 0 or number == times:
                    print(f"killed {number} times: {len(receiver.batches)} batches", flush=True)
            stop.set()
            for thread in requests:
                thread.join()
            receiver.answer = lambda _batch: ReceiverAnswer()
            time.sleep(1)  # in which the last decisions are written
            expected = asyncio.run(_expected_ids(url))
            if not eventually(lambda: expected <= set(receiver.ids), _COMPLETE_SECONDS):
                yield "the receiver does not have all records"
        finally:
            stop.set()
            for server in servers:
                server.stop()
        yield from _faults(receiver, expected)


def _answer(chosen: random.Random) -> ReceiverAnswer:
    number = chosen.randrange(20)
    if number >= 4:
        return ReceiverAnswer()
    # The last one is an answer that does not arrive, after which the batch is sent again.
    return (ReceiverAnswer(503, {"Retry-After": "0"}), ReceiverAnswer(500), ReceiverAnswer(429), ReceiverAnswer(None))[
        number
    ]


def _server(directory: Path, issuer: LiveIssuer, url: str, receiver: SiemReceiver, number: int) -> Server:
    directory.mkdir(parents=True)
    address = f"{receiver.url}/{number}"
    return Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        database_url=url,
        key_issues_per_minute="0",
        siem_cloudevents_url=address,
    )


def _send_requests(server: Server, issuer: LiveIssuer, stop: threading.Event) -> None:
    token = issuer.token(permissions=["catalog:read"])
    while not stop.is_set():
        try:
            with server.client(token) as client:
                while not stop.is_set():
                    for _ in range(20):
                        client.get("/api/v1/teams/")
                        client.get("/api/v1/sources/")
                    client.post("/api/v1/api-keys/", json={"name": "k"})
        except httpx.HTTPError:
            time.sleep(0.05)


async def _expected_ids(url: str) -> set[str]:
    """The ids of the events of all decisions and acts in the database."""
    engine = open_engine(url)
    sessions = sessions_of(engine)
    found: set[str] = set()
    async for rows in decisions.everything(sessions, DecisionFilter()):
        found |= {f"decision-{row.id}-{row.record.at}" for row in rows}
    async with sessions() as session:
        acts = await admin_actions.following(session, AdminFilter(), after=0, limit=1_000_000)
    await engine.dispose()
    return found | {f"admin-{act.id}-{int(act.time.timestamp()) * 1_000_000 + act.time.microsecond}" for act in acts}


def _faults(receiver: SiemReceiver, expected: set[str]) -> Iterator[str]:
    arrived: dict[str, str] = {}
    for event in receiver.events:
        event_id, content = event["metadata"]["uid"], json.dumps(event, sort_keys=True)
        if arrived.setdefault(event_id, content) != content:
            yield f"{event_id} arrived with another content"
    if missing := expected - arrived.keys():
        yield f"{len(missing)} records did not arrive, such as {min(missing)}"
    kinds = {event_id.partition("-")[0] for event_id in arrived}
    if more := {each for each in arrived if each.startswith(("decision-", "admin-"))} - expected:
        yield f"{len(more)} events are of no record, such as {min(more)}"
    if not {"decision", "admin"} <= kinds:
        yield f"only {sorted(kinds)} arrived, so this says little"
    for prefix in ("decision-", "admin-"):
        if _first_times(receiver, prefix) != sorted(_first_times(receiver, prefix)):
            yield f"the first events {prefix}… did not arrive in order"
    print(f"{len(arrived)} events, {len(receiver.events) - len(arrived)} of them again", flush=True)


def _first_times(receiver: SiemReceiver, prefix: str) -> Sequence[int]:
    """The ids of records in the order of their first arrival."""
    return list(dict.fromkeys(int(each.split("-")[1]) for each in receiver.ids if each.startswith(prefix)))
