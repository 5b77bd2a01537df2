"""How far the logs were delivered, as the command line shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.audit.record import time_of
from app.db.database_clock import database_now
from app.db.session import Sessions
from app.db.siem_cursors import all_cursors
from app.siem.export import delivery_status, log_readers
from app.siem.log_readers import LogReader


@dataclass(frozen=True, slots=True)
class SiemStatus:
    """The delivery of a log to a destination. `pending` records are to be delivered, at most.

    `lag_seconds` is the age of the oldest of these, null if there is none. `refused` records were not accepted, and
    `missed` ones deleted before they were delivered. `error` is empty unless the delivery fails.
    """

    destination: str
    log: str
    delivered: int
    delivered_at: datetime | None
    pending: int
    lag_seconds: float | None
    refused: int
    missed: int
    failed_since: datetime | None
    error: str


async def read_statuses(sessions: Sessions) -> list[SiemStatus]:
    """The status of each delivery that ever began, also of destinations that are not set any more."""
    logs: dict[str, LogReader] = {log.name: log for log in log_readers(sessions)}
    async with sessions() as session:
        cursors = await all_cursors(session)
        now = int((await database_now(session)).timestamp() * 1_000_000)
    found = []
    for cursor in cursors:
        log = logs.get(cursor.log)
        if log is None:
            continue  # of a newer version
        status = await delivery_status(log, cursor, await log.newest(cursor.position), now)
        found.append(
            SiemStatus(
                destination=cursor.destination,
                log=cursor.log,
                delivered=cursor.delivered,
                delivered_at=_time(cursor.delivered_at),
                pending=status.pending,
                lag_seconds=status.lag_seconds,
                refused=cursor.refused,
                missed=cursor.missed,
                failed_since=_time(cursor.failed_since),
                error=cursor.error,
            )
        )
    return found


def _time(at: int | None) -> datetime | None:
    return None if at is None else time_of(at)
