"""Deletes rows of the decision log, and keys without rows, and counts what that frees.

The caller holds the lock of the log's writers, and commits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Column, ColumnElement, Select, Table, delete, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.decision_class import DECISION_CLASSES, DecisionClass
from app.db.decision_filters import is_on_days_of
from app.db.decision_times import day_of, join_time
from app.db.decision_volumes import VolumeChanges, row_bytes
from app.db.siem_gaps import DeletedRecord, note_deleted
from app.db.tables.base import table_of
from app.db.tables.decisions import (
    DecisionCaller,
    DecisionKeyRow,
    DecisionOutcome,
    DecisionRow,
    DecisionTarget,
    GrantSet,
    LoggedDecision,
)

CHUNK = 500  # ids in a statement
_rows = table_of(DecisionRow)
_keys = table_of(DecisionKeyRow)
_callers = table_of(DecisionCaller)
_grant_sets = table_of(GrantSet)
_former = table_of(LoggedDecision)
_PARTS = (
    (_callers, _keys.c.caller_id),
    (table_of(DecisionTarget), _keys.c.target_id),
    (table_of(DecisionOutcome), _keys.c.outcome_id),
)
_lengths = (func.length(_rows.c.request_id), func.coalesce(func.length(_rows.c.token_id), 0))


class DeletedRow(NamedTuple):
    """A row that was deleted; `at` is in microseconds since 1970."""

    id: int
    key_id: int
    at: int
    times: int


async def delete_rows(
    connection: AsyncConnection,
    condition: ColumnElement[bool],
    changes: VolumeChanges,
    decision_class: DecisionClass | None = None,
) -> Sequence[DeletedRow]:
    """Delete rows, of one class or of any, and note those that a SIEM does not have.

    What that frees is counted in `changes`.
    """
    columns = _rows.c["id", "decision_key_id", "second", "microsecond", "count"]
    found = (await connection.execute(delete(_rows).where(condition).returning(*columns, *_lengths))).all()
    classes = {} if decision_class else await _classes(connection, {row[1] for row in found})
    dialect, deleted = connection.dialect.name, []
    for row_id, key_id, second, microsecond, times, *lengths in map(tuple, found):
        at = join_time(second, microsecond)
        name = decision_class or DECISION_CLASSES[classes.get(key_id, 0)]
        changes.delete_row(day_of(at), name, row_bytes(dialect, *lengths))
        deleted.append(DeletedRow(row_id, key_id, at, times or 1))
    await connection.run_sync(note_deleted, "decisions", [DeletedRecord(row.id, row.at) for row in deleted])
    return deleted


async def delete_unused_keys(connection: AsyncConnection, ids: Collection[int], changes: VolumeChanges) -> int:
    """Delete those of the keys that have no rows, and parts that no key has; return how many of both.

    What that frees is counted in `changes`.
    """
    deleted = list[tuple[Any, ...]]()
    columns = _keys.c["caller_id", "target_id", "outcome_id", "decision_class", "byte_count"]
    is_unused = _has_none(_rows_of_key(connection.dialect.name))
    for chunk in _chunks(ids):
        query = delete(_keys).where(_keys.c.id.in_(chunk), is_unused).returning(*columns)
        deleted += map(tuple, await connection.execute(query))
    for *_, class_index, byte_count in deleted:
        changes.add_keys(DECISION_CLASSES[class_index], -byte_count)
    total = len(deleted)
    for column, (table, reference) in enumerate(_PARTS):
        total += await _delete_parts(connection, table, reference, {row[column] for row in deleted})
    return total


async def _delete_parts(connection: AsyncConnection, table: Table, reference: Column[Any], ids: Collection[int]) -> int:
    """Delete those of the parts that no key refers to, and their grant sets; return how many parts."""
    is_unused = _has_none(select(_keys.c.id).where(reference == table.c.id))
    returned = _callers.c.grant_set_id if table is _callers else null()
    deleted = list[int | None]()
    for chunk in _chunks(ids):
        query = delete(table).where(table.c.id.in_(chunk), is_unused).returning(returned)
        deleted += (await connection.execute(query)).scalars()
    sets = {set_id for set_id in deleted if set_id is not None}
    # The decisions of the previous release refer to grant sets too.
    if sets and (await connection.execute(select(_former.c.id).limit(1))).first() is None:
        is_unused = _has_none(select(_callers.c.id).where(_callers.c.grant_set_id == _grant_sets.c.id))
        for chunk in _chunks(sets):
            await connection.execute(delete(_grant_sets).where(_grant_sets.c.id.in_(chunk), is_unused))
    return len(deleted)


def _rows_of_key(dialect: str) -> Select[Any]:
    return select(_rows.c.id).where(_rows.c.decision_key_id == _keys.c.id, is_on_days_of(dialect, _keys))


def _has_none(query: Select[Any]) -> ColumnElement[bool]:
    """Whether a correlated query finds no row. Not as NOT EXISTS, of which a planner may make a scan of the table."""
    return query.limit(1).scalar_subquery().is_(None)


async def _classes(connection: AsyncConnection, ids: Collection[int]) -> Mapping[int, int]:
    """The indexes of classes, by the ids of keys."""
    found: dict[int, int] = {}
    for chunk in _chunks(ids):
        query = select(_keys.c.id, _keys.c.decision_class).where(_keys.c.id.in_(chunk))
        found |= {row[0]: row[1] for row in await connection.execute(query)}
    return found


def _chunks(ids: Collection[int]) -> Iterator[list[int]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]
