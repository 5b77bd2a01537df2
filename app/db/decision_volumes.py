"""How much space the decision log takes, by class and day: counted in the transactions that write and delete.

Databases do not say what some rows of a table take, and SQLite not even what a table takes. The bytes are estimated:
what a row takes with its part of the indexes, and the length of its texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.audit.decision_class import DECISION_CLASSES, DecisionClass
from app.db.compact_ids import TIMED_BYTES
from app.db.tables.base import table_of
from app.db.tables.decision_volumes import OF_KEYS, DecisionVolume

# With indexes and some bytes of the hash chain, besides the ids of requests and tokens. More than new rows take, since
# pages from which others were deleted are not full.
_ROW_BYTES: Mapping[str, int] = {"sqlite": 70, "postgresql": 124}
_INDEX_BYTES: Mapping[str, int] = {"sqlite": 14, "postgresql": 30}  # of a request id that is indexed
KEY_BYTES: Mapping[str, int] = {"sqlite": 95, "postgresql": 254}
_PART_BYTES: Mapping[str, int] = {"sqlite": 106, "postgresql": 210}
_COLUMNS = ("day", "decision_class", "row_count", "byte_count", "freed_bytes")
_volumes = table_of(DecisionVolume)


def row_bytes(dialect: str, request_id: int, token_id: int) -> int:
    """About the bytes of a row whose request id and token id have so many bytes."""
    indexed = 0 if request_id == TIMED_BYTES else _INDEX_BYTES[dialect]
    return _ROW_BYTES[dialect] + request_id + token_id + indexed


def part_bytes(dialect: str, values: Sequence[object], *, is_indexed: bool) -> int:
    """About the bytes of a caller, a target, an outcome or a grant set with these values."""
    texts = sum(len(value.encode()) for value in values if isinstance(value, str))
    return _PART_BYTES[dialect] + texts * (2 if is_indexed else 1)


@dataclass(slots=True)
class _VolumeChange:
    rows: int = 0
    byte_count: int = 0
    freed: int = 0


class VolumeChanges:
    """What a transaction adds to the log, or deletes from it."""

    def __init__(self) -> None:
        self._changes: defaultdict[tuple[int, DecisionClass], _VolumeChange] = defaultdict(_VolumeChange)

    def add_rows(self, day: int, decision_class: DecisionClass, rows: int, byte_count: int) -> None:
        """Count rows of a day that were inserted, and their bytes."""
        change = self._changes[day, decision_class]
        change.rows += rows
        change.byte_count += byte_count

    def delete_row(self, day: int, decision_class: DecisionClass, byte_count: int) -> None:
        """Count a row of a day that was deleted."""
        change = self._changes[day, decision_class]
        change.rows -= 1
        change.byte_count -= byte_count
        change.freed += byte_count

    def add_keys(self, decision_class: DecisionClass, byte_count: int) -> None:
        """Count keys that were inserted, or with a negative number deleted."""
        self._changes[OF_KEYS, decision_class].byte_count += byte_count

    @property
    def byte_counts(self) -> Mapping[DecisionClass, int]:
        """About how many bytes are added to each class, less those that are deleted."""
        counts: defaultdict[DecisionClass, int] = defaultdict(int)
        for (_, decision_class), change in self._changes.items():
            counts[decision_class] += change.byte_count
        return counts

    @property
    def freed_bytes(self) -> int:
        """About how many bytes are deleted, less those that are added."""
        return -sum(change.byte_count for change in self._changes.values())

    async def store(self, connection: AsyncConnection) -> None:
        """Store the changes in this transaction, which holds the lock of the log's writers."""
        rows = [
            (day, name, change.rows, change.byte_count, change.freed) for (day, name), change in self._changes.items()
        ]
        if rows:
            values = tuple(value for row in rows for value in row)
            await connection.exec_driver_sql(_statement(connection.dialect.name, len(rows)), values)


@cache
def _statement(dialect: str, rows: int) -> str:
    numbers = iter(range(1, rows * len(_COLUMNS) + 1))
    marks = ", ".join(
        f"({', '.join('?' if dialect == 'sqlite' else f'${next(numbers)}' for _ in _COLUMNS)})" for _ in range(rows)
    )
    # An estimate is never below zero, even if rows were inserted by a version that did not count them.
    greatest = "max" if dialect == "sqlite" else "greatest"
    changed = ", ".join(f"{name} = {greatest}({_volumes.name}.{name} + excluded.{name}, 0)" for name in _COLUMNS[2:])
    return (
        f"INSERT INTO {_volumes.name} ({', '.join(_COLUMNS)}) VALUES {marks} "  # noqa: S608  # our own names
        f"ON CONFLICT (day, decision_class) DO UPDATE SET {changed}"
    )


async def class_sizes(session: AsyncSession | AsyncConnection) -> Mapping[DecisionClass, int]:
    """About how many bytes the decisions of each class take."""
    query = select(_volumes.c.decision_class, func.sum(_volumes.c.byte_count)).group_by(_volumes.c.decision_class)
    found = {name: int(size) for name, size in await session.execute(query)}
    return {name: found.get(name, 0) for name in DECISION_CLASSES}


async def class_rows(session: AsyncSession, decision_class: DecisionClass) -> tuple[int, int]:
    """How many rows a class has, and about how many bytes they and their keys take."""
    query = select(func.sum(_volumes.c.row_count), func.sum(_volumes.c.byte_count))
    rows, size = (await session.execute(query.where(_volumes.c.decision_class == decision_class))).one()
    return int(rows or 0), int(size or 0)
