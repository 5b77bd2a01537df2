"""All serving processes: how far each is behind the newest revision, and waiting until none is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import revisions
from app.db.replicas import all_seen
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision
from app.db.tables.replicas import Replica
from app.history.entry import HistoryEntry
from app.history.replica import LIVE_BEATS

MAX_WAIT_SECONDS = 30.0
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A process, as it reported `seen_seconds` ago; `live` if it should still be there.

    `lag_revisions` is how many revisions it lacks, `lag_seconds` since when it lacks the first. `refused` says why it
    does not take the newest, `files_lag` why its policy directory does not hold what it serves. `lost` if the database
    does not have what it serves: it was restored, or an edit is not stored yet.
    """

    id: int
    host: str
    pid: int
    version: str
    revision: str
    live: bool
    lag_revisions: int
    lag_seconds: float
    started_at: datetime
    seen_at: datetime
    seen_seconds: float
    refused: str | None
    files_lag: str | None
    lost: bool


@dataclass(frozen=True, slots=True)
class NewestRevision:
    """What every replica should serve."""

    revision: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Fleet:
    """The newest revision, and every process that was seen within a day, the longest known first."""

    newest: NewestRevision | None
    results: list[ReplicaStatus]


@dataclass(frozen=True, slots=True)
class FleetProgress:
    """How long the wait took, how many live processes serve the revision or a newer one, and which do not."""

    waited_seconds: float
    serving: int
    behind: list[LaggingReplica] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LaggingReplica:
    """A live process that did not serve the revision in time, and the reason that it reported."""

    id: int
    host: str
    pid: int
    revision: str
    reason: str | None


async def fleet(sessions: Sessions, beat_seconds: float) -> Fleet:
    """The status of all processes now; `beat_seconds` is the interval of their heartbeats."""
    async with sessions() as session:
        newest = await revisions.head(session)
        rows, now = await all_seen(session)
        known_places = await _find_known_places(session, rows)
        lags = {
            place: await _lag(session, place, newest, lost=place not in known_places) for place in map(_place, rows)
        }
    found: list[ReplicaStatus] = []
    for row in rows:
        seen = max(0.0, (now - row.seen_at).total_seconds())
        place = _place(row)
        count, since = lags[place]
        lag = max(0.0, (now - since).total_seconds()) if since else 0.0
        found.append(
            ReplicaStatus(
                id=row.id,
                host=row.host,
                pid=row.pid,
                version=row.version,
                revision=row.revision,
                live=seen <= LIVE_BEATS * beat_seconds,
                lag_revisions=count,
                lag_seconds=round(lag, 3),
                started_at=row.started_at,
                seen_at=row.seen_at,
                seen_seconds=round(seen, 3),
                refused=row.refused or None,
                files_lag=row.files or None,
                lost=place not in known_places,
            )
        )
    return Fleet(NewestRevision(newest.revision, newest.created_at) if newest else None, found)


async def until_served(
    sessions: Sessions, entry: HistoryEntry | None, seconds: float, beat_seconds: float
) -> FleetProgress:
    """Wait until every live process serves an entry of the history or a later one, for at most `seconds`.

    An entry that the history does not have is not later, whatever its id.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    while True:
        async with sessions() as session:
            rows, now = await all_seen(session)
            known_places = await _find_known_places(session, rows)
        live = [row for row in rows if (now - row.seen_at).total_seconds() <= LIVE_BEATS * beat_seconds]
        behind = [row for row in live if entry and not _serves(row, entry, known_places)]
        waited = loop.time() - started
        if not behind or waited >= seconds:
            lacking = [LaggingReplica(row.id, row.host, row.pid, row.revision, row.refused or None) for row in behind]
            return FleetProgress(round(waited, 3), len(live) - len(behind), lacking)
        await asyncio.sleep(min(_LOOK_SECONDS, seconds - waited))


_Place = tuple[int | None, str]  # of a process: the entry that it took over last, and the revision that it serves


def _place(row: Replica) -> _Place:
    return row.entry_id, row.revision


async def _find_known_places(session: AsyncSession, rows: Sequence[Replica]) -> set[_Place]:
    """The places that the history has. A process that has taken over no entry yet has lost none."""
    known = await revisions.by_id(session, {row.entry_id for row in rows if row.entry_id is not None})
    return {_place(row) for row in rows if row.entry_id is None or known.get(row.entry_id) == row.revision}


async def _lag(
    session: AsyncSession, place: _Place, newest: PolicyRevision | None, *, lost: bool
) -> tuple[int, datetime | None]:
    """How many entries a process lacks, and when the first of them was added."""
    entry_id, _ = place
    if not lost or entry_id is None:
        return await revisions.after(session, entry_id)
    if newest is None:
        return 0, None
    # The entries from the one that replaced its own, at least the newest.
    count, since = await revisions.after(session, entry_id - 1)
    return max(count, 1), since or newest.created_at


def _serves(row: Replica, entry: HistoryEntry, known_places: set[_Place]) -> bool:
    return row.entry_id is not None and row.entry_id >= entry.id and _place(row) in known_places
