"""Kill processes that log decisions, and compare the log with what they reported and with its hash chain."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import text

from app.audit.chain.entry import LOGS, ChainHead
from app.audit.chain.signatures import PublicKeys, read_public_keys
from app.db import chain_store
from app.db.chain_check import CheckOptions, LogCheck, check_log
from app.db.engine import open_engine
from app.db.session import Sessions, sessions_of
from tests.support.server import eventually
from tests.support.trials.logging_process import Progress, run

_FORKS = multiprocessing.get_context("forkserver")  # a new process has the imports already
_FORKS.set_forkserver_preload(["tests.support.trials.logging_process"])
_PROCESSES = 2
_WITHIN = 1.0  # seconds between two kills
_START_SECONDS = 60.0
_WITHOUT_KEY = """
    SELECT count(*) FROM decision_rows AS r WHERE NOT EXISTS (
        SELECT 1 FROM decision_keys AS k JOIN decision_callers AS c ON c.id = k.caller_id
        JOIN decision_targets AS t ON t.id = k.target_id JOIN decision_outcomes AS o ON o.id = k.outcome_id
        WHERE k.id = r.decision_key_id)
"""
# By a query each: what is in the log, what was deleted for its size, and what was dropped.
_COUNTS = (
    "SELECT coalesce(sum(coalesce(count, 1)), 0) FROM decision_rows",
    "SELECT coalesce(sum(count), 0) FROM decision_deletions",
    "SELECT coalesce(sum(count), 0) FROM decision_drops",
)


class LoggingProcess:
    """A process, and its last report."""

    def __init__(self, url: str, key_file: Path) -> None:
        self.progress = Progress()
        reports, sending = _FORKS.Pipe(duplex=False)
        self._process = _FORKS.Process(target=run, args=(url, key_file, sending), daemon=True)
        self._process.start()
        sending.close()
        self._reader = threading.Thread(target=self._read, args=(reports,), daemon=True)
        self._reader.start()

    def _read(self, reports: Connection) -> None:
        with suppress(EOFError, OSError):  # of a process that was killed
            while True:
                self.progress = reports.recv()

    def has_written(self) -> bool:
        """Wait until the process has written decisions; False if it takes too long, or the process ended."""
        ended = eventually(lambda: self.progress.written > 0 or not self._process.is_alive(), _START_SECONDS)
        return ended and self.progress.written > 0

    def end(self, *, kill: bool) -> None:
        """Kill the process, or stop it cleanly, and read the rest of its reports."""
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        self._process.join(60)
        self._reader.join(10)


def log_kills(times: int, seed: int, *, url: str, place: Path) -> Iterator[str]:
    """Kill one of two processes that share a database, `times` times; yield the faults."""
    chosen = random.Random(seed)
    key_file, keys = _new_key(place)
    running = [LoggingProcess(url, key_file) for _ in range(_PROCESSES)]
    ended: list[Progress] = []
    heads: list[ChainHead] = []
    try:
        for number in range(1, times + 1):
            process = running.pop(0)
            if not process.has_written():
                yield "a process wrote nothing"
            time.sleep(chosen.uniform(0.0, _WITHIN))
            process.end(kill=True)
            ended.append(process.progress)
            running.append(LoggingProcess(url, key_file))
            found = asyncio.run(_check(url, keys, heads))
            yield from (f"kill {number}: {fault}" for fault in found)
            if number % 10 == 0 or number == times or found:
                print(f"killed {number} times: {sum(each.written for each in ended)} decisions written", flush=True)
        for process in running:
            if not process.has_written():
                yield "a process wrote nothing"
            process.end(kill=False)
        yield from asyncio.run(_check(url, keys, heads, ended, [process.progress for process in running]))
    finally:
        for process in running:
            process.end(kill=True)


def _new_key(place: Path) -> tuple[Path, PublicKeys]:
    private = Ed25519PrivateKey.generate()
    files = place / "private.pem", place / "public.pem"
    files[0].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files[1].write_bytes(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return files[0], read_public_keys(files[1:])


async def _check(
    url: str,
    keys: PublicKeys,
    heads: list[ChainHead],
    killed: Sequence[Progress] = (),
    stopped: Sequence[Progress] = (),
) -> list[str]:
    """The faults of the log; at the end also of the numbers. Adds the head of the chain to `heads`."""
    engine = open_engine(url)
    sessions = sessions_of(engine)
    try:
        found = [fault async for fault in _chain_faults(sessions, CheckOptions(keys, heads=heads[-20:]))]
        async with sessions() as session:
            if newest := await chain_store.newest(session, "decisions"):
                heads.append(newest.head)
            if lost := await session.scalar(text(_WITHOUT_KEY)):
                found.append(f"{lost} rows without their key")
            if stopped:
                counts = [int(await session.scalar(text(query)) or 0) for query in _COUNTS]
                found += _count_faults(counts, killed, stopped, bool(heads))
    finally:
        await engine.dispose()
    return found


async def _chain_faults(sessions: Sessions, options: CheckOptions) -> AsyncIterator[str]:
    for log in LOGS:
        async for fault in check_log(sessions, LogCheck(log), options, lambda _: None):
            yield fault.message


def _count_faults(
    counts: Sequence[int], killed: Sequence[Progress], stopped: Sequence[Progress], was_sealed: bool
) -> Iterator[str]:
    in_log, deleted, dropped = counts
    ended = [*killed, *stopped]
    written, recorded = sum(each.written for each in ended), sum(each.recorded for each in ended)
    noted = sum(each.noted for each in ended)
    print(f"{noted} decisions noted, {in_log} in the log, {deleted} deleted, {dropped} dropped", flush=True)
    if in_log + deleted < written:
        yield f"{written} decisions were written, and {in_log + deleted} are there or were deleted"
    if dropped < recorded:
        yield f"{recorded} dropped decisions were recorded, and the database has {dropped}"
    for each in stopped:
        if each.noted != each.written + each.recorded:
            yield f"{each.noted} decisions were noted, {each.written} written and {each.recorded} recorded as dropped"
    if not (recorded and was_sealed):
        yield "nothing was dropped, or nothing sealed, so this says little"
