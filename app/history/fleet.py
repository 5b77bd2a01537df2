"""All the processes that serve: how far each is behind the newest revision, and waiting until none is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.db import revisions
from app.db.replicas import all_seen
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision
from app.db.tables.replicas import Replica
from app.history.replica import LIVE_BEATS

MAX_WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Standing:
    """A process, as it said when it was last seen. Its lag is how many revisions it lacks, and since when."""

    replica: Replica
    seen_seconds: float
    live: bool
    lag_revisions: int
    lag_seconds: float


@dataclass(frozen=True, slots=True)
class Fleet:
    """The newest revision, and how every process stands to it."""

    newest: PolicyRevision | None
    standings: Sequence[Standing]


@dataclass(frozen=True, slots=True)
class Waited:
    """How long it was waited for, how many live processes serve the revision or a newer one, and which do not."""

    waited_seconds: float
    serving: int
    behind: list[Behind] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Behind:
    """A live process that did not serve the revision in time, and why, where it says so."""

    id: int
    host: str
    pid: int
    revision: str
    reason: str | None


async def fleet(sessions: Sessions, beat_seconds: float) -> Fleet:
    """How all processes stand now; `beat_seconds` is how often each says that it lives."""
    async with sessions() as session:
        newest = await revisions.head(session)
        rows, now = await all_seen(session)
        lags = {row.entry_id: await revisions.after(session, row.entry_id) for row in rows}
    found: list[Standing] = []
    for row in rows:
        seen = max(0.0, (now - row.seen_at).total_seconds())
        count, since = lags[row.entry_id]
        lag = max(0.0, (now - since).total_seconds()) if since else 0.0
        found.append(Standing(row, seen, seen <= LIVE_BEATS * beat_seconds, count, lag))
    return Fleet(newest, found)


async def until_served(sessions: Sessions, entry_id: int | None, seconds: float, beat_seconds: float) -> Waited:
    """Wait until every live process serves an entry of the history or a later one, for so many seconds at most."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        async with sessions() as session:
            rows, now = await all_seen(session)
        live = [row for row in rows if (now - row.seen_at).total_seconds() <= LIVE_BEATS * beat_seconds]
        behind = [row for row in live if (row.entry_id or 0) < (entry_id or 0)]
        waited = loop.time() - started
        if not behind or waited >= seconds:
            lacking = [Behind(row.id, row.host, row.pid, row.revision, row.refused or None) for row in behind]
            return Waited(round(waited, 3), len(live) - len(behind), lacking)
        await asyncio.sleep(min(_LOOK_SECONDS, seconds - waited))
