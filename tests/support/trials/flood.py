"""Flood the decision log, and compare how the database grows with the share of the flood."""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from app.audit.decision_class import DecisionClass
from app.audit.size_limit import SizeLimit
from app.db.engine import open_engine, sqlite_file
from app.settings import ServerName
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually
from tests.support.trials.abuse_attacks import KNOWN, Attack, Callers, Marked, attacks, bearer, request
from tests.support.trials.abuse_load import LOWER_PRIORITY, Connections, LoadProcess, ask_at_rate, ask_in_turn
from tests.support.trials.abuse_server import LOAD_CORE, attacked

FloodName = Literal["anonymous", "batches"]
CLASS_OF: dict[FloodName, DecisionClass] = {"anonymous": "anonymous", "batches": "authzen"}
_CONNECTIONS = 16  # of batches, of which a server decides a few at a time
_BATCH_ITEMS = 1_000
_SAMPLE_SECONDS = 0.2
_WRITTEN_SECONDS = 120.0  # until the server has written what was queued when the flood ended
_POLL_SECONDS = 0.2
_OWN_REQUESTS = 4  # decisions about the polls, which may be queued themselves
_LOG_SECONDS = 5.0  # until all of it is found
_EXPIRES = 2**33


@dataclass(frozen=True, slots=True)
class Flooded:
    """The outcome of a flood. Sizes are in bytes; `growth` is the largest during the flood."""

    answers: Counter[int]
    rate: float
    growth: int
    share: int
    marked: int
    logged: int
    failures: Counter[int]
    deleted: Counter[str]
    dropped: Counter[str]
    recorded: int
    writing: str  # what the server says about the decisions that it has not written; empty if there are none

    def faults(self) -> Iterator[str]:
        """What must not happen."""
        if self.failures:
            yield f"the known caller was answered with {dict(self.failures)}"
        if self.logged != self.marked:
            missing = f"{self.marked - self.logged} of {self.marked} requests of the known caller are not in the log"
            yield f"{missing}; {self.writing or 'the server has written all that it had'}"
        if self.growth >= self.share:
            yield f"the database grew by {self.growth:,} bytes, and the share is {self.share:,}"
        if self.deleted["known"] or self.dropped["known"]:
            yield f"decisions of known callers were deleted or dropped: {self.deleted}, {self.dropped}"
        if self.recorded < self.deleted.total():  # more were deleted until the records were read
            yield f"{self.deleted.total()} decisions were deleted, and {self.recorded} are recorded"
        if wrong := {status: times for status, times in self.answers.items() if status not in (200, 401, 503)}:
            yield f"the flood was answered with {wrong}"

    def __str__(self) -> str:
        size = f"{self.growth / 1e6:.1f} MB of {self.share / 1e6:.1f}"
        logged = f"{self.logged} of {self.marked} marked"
        gone = f"{self.deleted.total():,} deleted, {self.dropped.total():,} dropped"
        return f"{self.rate:8,.0f}/s  {size}, {logged}, {gone}, {dict(self.answers)}"


def flood(
    name: FloodName,
    seconds: float,
    marked: int,
    *,
    server: ServerName,
    database: str,
    max_bytes: int,
    issuer: LiveIssuer,
    place: Path,
    own_core: bool = True,
) -> Flooded:
    """Flood a new server for a time, while a known caller sends `marked` requests."""
    options: dict[str, Any] = {"keys": 0, "max_bytes": max_bytes, "own_core": own_core}
    with attacked(server, place, issuer, database, **options) as (started, callers):
        url = urlsplit(started.url)
        address = (url.hostname or "", url.port or 0)
        attack = _attack(name, callers, issuer)
        mark = secrets.token_hex(8)
        with _growth(started) as growth:
            load = LoadProcess(partial(attack.run, address, seconds), LOAD_CORE, LOWER_PRIORITY)
            known = Marked(callers.known, mark)
            work = partial(ask_at_rate, Connections(address, 0), seconds, marked / seconds, known, is_open=True)
            seen = LoadProcess(work, LOAD_CORE).result()
            outcome = load.result()
            sent = seen.answers.total()
            ids = {f"{mark}-{number}" for number in range(1, sent + 1)}
            with started.client(callers.reader) as reader:
                writing = _wait_until_written(reader)
                complete = eventually(lambda: len(ids & _logged(reader)) == sent, _LOG_SECONDS)
                logged = sent if complete else len(ids & _logged(reader))
                check = reader.get("/readyz").json()["checks"]["decision_log"]
                lines = reader.get("/api/v1/decisions/export", params={"subject": KNOWN}, timeout=60).text.splitlines()
        recorded = sum(line["deleted"]["count"] for line in map(json.loads, lines) if "deleted" in line)
        decision_class = CLASS_OF[name]
        share = SizeLimit(max_bytes).of_class(decision_class, {"known": 0, "authzen": 0, "anonymous": 0})
        return Flooded(
            outcome.answers,
            outcome.rate,
            growth(),
            share,
            sent,
            logged,
            Counter({status: times for status, times in seen.answers.items() if status != 200}),
            Counter(check["deleted"]),
            Counter(check["dropped"]),
            recorded,
            writing,
        )


def _attack(name: FloodName, callers: Callers, issuer: LiveIssuer) -> Attack:
    if name == "anonymous":
        return attacks(callers)["pipelined"]
    evaluator = issuer.token(sub="user_evaluator", permissions=["decisions:evaluate"], exp=_EXPIRES)
    # Each batch has other items, so that each of them is stored with a key of its own.
    source = (partial(_items, evaluator),)
    return Attack(name, frozenset({200, 503}), "127.0.0.66", _CONNECTIONS, ask_in_turn, source)


def _items(token: str) -> bytes:
    """A batch of items that differ from all others."""
    body = {
        "subject": {"type": "user", "id": "user_asked"},
        "action": {"name": "read"},
        "evaluations": [{"resource": {"type": "record", "id": secrets.token_hex(8)}} for _ in range(_BATCH_ITEMS)],
    }
    return request("/access/v1/evaluations", bearer(token), json.dumps(body).encode())


def _wait_until_written(reader: httpx.Client) -> str:
    """Wait until the server has written what it queued; return what it says if that takes too long."""
    deadline = time.monotonic() + _WRITTEN_SECONDS
    while True:
        health = _health(reader)
        if health["queued"] <= _OWN_REQUESTS and not health["error"]:
            return ""
        if time.monotonic() > deadline:
            numbers = f"{health['queued']} are queued, {health['failures']} writes failed"
            return f"{numbers}, the last error is {health['error']}"
        time.sleep(_POLL_SECONDS)


def _health(reader: httpx.Client) -> dict[str, Any]:
    found: dict[str, Any] = reader.get("/api/v1/decisions/health", timeout=60).raise_for_status().json()
    return found


def _logged(reader: httpx.Client) -> set[str]:
    """The request ids of the known caller in the log."""
    found = reader.get("/api/v1/decisions/export", params={"subject": KNOWN}, timeout=60).raise_for_status()
    return {str(json.loads(line).get("request_id")) for line in found.text.splitlines()}


@contextmanager
def _growth(server: Server) -> Iterator[Callable[[], int]]:
    """By how much the database has grown at most, sampled while the block runs."""
    url = server.env["AUTHZ_DATABASE_URL"]
    before = size_of(url)
    largest, over = [before], threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            largest[0] = max(largest[0], size_of(url))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield lambda: largest[0] - before
    finally:
        over.set()
        thread.join()


def size_of(url: str) -> int:
    """The bytes that a database takes on its disk, without its write-ahead log, which does not grow with the log."""
    file = sqlite_file(url)
    return asyncio.run(_size_on_postgresql(url)) if file is None else file.stat().st_size


async def _size_on_postgresql(url: str) -> int:
    engine = open_engine(url)
    async with engine.connect() as connection:
        size = int((await connection.execute(text("SELECT pg_database_size(current_database())"))).scalar_one())
    await engine.dispose()
    return size
