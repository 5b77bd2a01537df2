"""A process that logs decisions of all classes as fast as it can, to be killed.

It runs the decision log with all that deletes and seals its rows, as a server does, with a queue that is too small.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import structlog

from app import logs
from app.audit.chain.signatures import read_signing_key
from app.audit.deletions import LogSize, count_written, run_size_limit
from app.audit.drops import DropWindow
from app.audit.log import DecisionLog
from app.audit.size_limit import SizeLimit
from app.db.decision_drops import DropStore
from app.db.decision_writer import DecisionWriter
from app.db.engine import open_engine
from app.db.limited_log import LimitedLog
from app.db.sealing import Sealer
from app.db.session import sessions_of
from app.identity.principal import ANONYMOUS, user_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason

_MAX_BYTES = 300_000
_CAPACITY = 400
_BURST = 200  # decisions between two pauses
_ALLOW, _DENY = (Decision(allowed, Reason.ALLOWED if allowed else Reason.NOT_HELD, "rev") for allowed in (True, False))


class Progress(NamedTuple):
    """How many decisions were noted, how many are written, and how many dropped ones the database has a record of."""

    noted: int = 0
    written: int = 0
    recorded: int = 0


def run(url: str, key_file: Path, reports: Connection) -> None:
    """Log decisions until SIGTERM, and report the progress."""
    structlog.configure(processors=[_without_losses, structlog.dev.ConsoleRenderer()])
    asyncio.run(_log_decisions(url, key_file, reports))


def _without_losses(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Leave out what this process does on purpose."""
    if str(event["event"]).startswith(("decisions were", "log sealed")):
        raise structlog.DropEvent
    return event


async def _log_decisions(url: str, key_file: Path, reports: Connection) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    engine = open_engine(url)
    sessions, key = sessions_of(engine), read_signing_key(key_file)
    recorded: dict[str, int] = {}
    drops = DropStore(sessions)

    async def write_drops(windows: Sequence[DropWindow]) -> None:
        await drops.write(windows)
        recorded.update((window.id, window.count) for window in windows)

    callers = [user_principal(f"user_{number}", ["catalog:read"], {}) for number in range(50)]
    draw, noted = random.Random(), 0
    size, limited = LogSize(SizeLimit(_MAX_BYTES)), LimitedLog(sessions, key)
    store = count_written(DecisionWriter(sessions).write, size, lambda classes: decision_log.hold(classes))  # noqa: PLW0108  # made below
    decision_log = DecisionLog(store, write_drops=write_drops, capacity=_CAPACITY, every_seconds=0.05)
    tasks = (
        asyncio.create_task(Sealer(sessions, key=key, seal_seconds=0.3, segment_rows=500).run(stop)),
        asyncio.create_task(run_size_limit(size, stop, limited, decision_log.hold)),
    )
    async with decision_log as log:
        while not stop.is_set():
            for _ in range(draw.randrange(_BURST)):
                noted += 1
                logs.request_id.set(draw.randbytes(12).hex())
                caller = draw.choice((ANONYMOUS, *callers))
                door, resource = draw.choice((("app", "/teams"), ("nginx", f"/r{noted % 99}"), ("authzen", "team:7")))
                log.note(door, resource, "GET", caller, draw.choice((_ALLOW, _DENY)), started=time.perf_counter_ns())
            reports.send(Progress(noted, log.health.written, sum(recorded.values())))
            await asyncio.sleep(draw.uniform(0.0, 0.03))
    await asyncio.gather(*tasks)
    reports.send(Progress(noted, log.health.written, sum(recorded.values())))
    await engine.dispose()
