"""Daily partitions of the decision log on PostgreSQL, by UTC day: created ahead of time, and dropped as a whole.

The days are those of the server's clock, which all processes share. A decision of a day without a partition goes to
the default one, where it is later deleted as a row. The table of the release before has partitions too, which are only
dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, delete, func, select, text

from app.db.decision_times import DAY, DAY_SECONDS, EPOCH
from app.db.siem_gaps import note_dropped_partition
from app.db.tables.base import table_of
from app.db.tables.decision_volumes import DecisionVolume

AHEAD_DAYS = 7
_LEAST, _MOST = -(2**63), 2**63 - 1
# An advisory lock that nothing else uses: one process changes partitions at a time.
_ADVISORY_LOCK = 0x617574687F
_BOUNDS = re.compile(r"FOR VALUES FROM \((?:'?(-?\d+)'?|MINVALUE)\) TO \((?:'?(-?\d+)'?|MAXVALUE)\)")
_PARTITIONS = text(
    "SELECT child.oid::regclass::text AS name, pg_get_expr(child.relpartbound, child.oid) AS bounds "
    "FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid "
    "WHERE inhparent = to_regclass(:table) ORDER BY 1"
)
_TABLE, _OLD_TABLE = "decision_rows", "decisions"
_volumes = table_of(DecisionVolume)


@dataclass(frozen=True, slots=True)
class Partition:
    """A table of the decisions from `start` until before `end`, in microseconds since 1970."""

    name: str
    start: int
    end: int


def partitions(connection: Connection, table: str = _TABLE) -> Sequence[Partition]:
    """The partitions without the default one; none if the log is not partitioned."""
    if connection.dialect.name != "postgresql":
        return ()
    found = []
    for name, bounds in connection.execute(_PARTITIONS, {"table": table}):
        if match := _BOUNDS.fullmatch(bounds):
            start, end = match.groups()
            found.append(Partition(name, _time(start, table, _LEAST), _time(end, table, _MOST)))
    return sorted(found, key=lambda partition: partition.start)


def _time(bound: str | None, table: str, unbounded: int) -> int:
    if bound is None:
        return unbounded
    return int(bound) if table == _OLD_TABLE else (int(bound) + EPOCH) * 1_000_000


def make_ahead(connection: Connection, now: datetime | None = None) -> Sequence[str]:
    """Create the missing partitions of today, or the day of `now`, and the next days, and return their names.

    Waits for readers and writers of the default partition, and blocks no others.
    """
    if not may_change_partitions(connection):
        return ()
    now = now or connection.execute(select(func.clock_timestamp())).scalar_one()
    existing = partitions(connection)
    created = []
    for ahead in range(AHEAD_DAYS + 1):
        day = now.astimezone(UTC).date() + timedelta(days=ahead)
        days = (day - datetime(1970, 1, 1, tzinfo=UTC).date()).days
        if any(partition.start <= days * DAY < partition.end for partition in existing):
            continue
        start = days * DAY_SECONDS - EPOCH
        end = start + DAY_SECONDS
        strays = text("SELECT EXISTS (SELECT FROM decision_rows_default WHERE second >= :start AND second < :end)")
        if connection.execute(strays, {"start": start, "end": end}).scalar():
            continue
        name = f"{_TABLE}_{day:%Y%m%d}"
        # Attaching blocks no reader or writer of other days.
        connection.execute(text(f"CREATE TABLE {name} (LIKE {_TABLE} INCLUDING DEFAULTS)"))
        connection.execute(text(f"ALTER TABLE {_TABLE} ATTACH PARTITION {name} FOR VALUES FROM ({start}) TO ({end})"))
        created.append(name)
    return created


def drop_one_before(connection: Connection, at: int) -> Sequence[str]:
    """Drop the first partition that ends at or before `at`, and return its name, if any. Locks the whole log."""
    old_release = partitions(connection, _OLD_TABLE)
    both = (*partitions(connection, _TABLE), *old_release)
    old = sorted((partition for partition in both if partition.end <= at), key=lambda partition: partition.end)
    if not old or not may_change_partitions(connection):
        return ()
    partition = old[0]
    note_dropped_partition(connection, partition.name, is_of_previous_release=partition in old_release)
    connection.execute(text(f"DROP TABLE IF EXISTS {partition.name}"))
    if partition.name.startswith(f"{_TABLE}_"):
        days = _volumes.c.day.between(partition.start // DAY, (partition.end - 1) // DAY)
        connection.execute(delete(_volumes).where(days))
    return (partition.name,)


def may_change_partitions(connection: Connection) -> bool:
    """Whether this transaction alone may change partitions, until it ends."""
    if connection.dialect.name != "postgresql":
        return False
    return bool(connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK}).scalar())
