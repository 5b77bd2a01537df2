"""Records of the log that are deleted before the SIEM has them, noted in the transaction that deletes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, case, or_, select, text, update

from app.db.decision_times import join_time
from app.db.siem_cursors import Gap
from app.db.tables.base import table_of
from app.db.tables.decisions import ID_BLOCK_BITS, SECOND_BLOCK_BITS
from app.db.tables.siem import SiemCursor

_cursors = table_of(SiemCursor)
# Of a partition of the previous release.
_FORMER_BOUNDS = "SELECT min(id) AS first_id, max(id) AS last_id, min(at) AS first_at, max(at) AS last_at FROM {name}"
# Of a partition, by its indexes on blocks.
_BOUND = "(SELECT {0} FROM {{name}} ORDER BY {0} >> {1} {2}, {0} {2} LIMIT 1) AS {3}_{0}"
_BOUNDS = "SELECT " + ", ".join(
    _BOUND.format(column, bits, order, label)
    for column, bits in (("id", ID_BLOCK_BITS), ("second", SECOND_BLOCK_BITS))
    for order, label in (("ASC", "first"), ("DESC", "last"))
)


class DeletedRecord(NamedTuple):
    """A record that is deleted from a log, with its time in microseconds since 1970."""

    id: int
    at: int


def note_deleted(connection: Connection, log: str, records: Sequence[DeletedRecord]) -> None:
    """Add records to the gaps of the destinations that do not have them."""
    last_id = max((record.id for record in records), default=0)
    for cursor_id, position in _behind(connection, log, last_id):
        times = [record.at for record in records if record.id > position]
        _add(connection, cursor_id, Gap(len(times), last_id, min(times), max(times)))


def note_dropped_partition(connection: Connection, name: str, *, is_of_previous_release: bool) -> None:
    """Add the decisions of a partition to the gaps of the destinations that do not have them.

    Their number is an upper bound, since counting them could take longer than a statement may.
    """
    # The previous release stored microseconds since 1970 in one column.
    query = _FORMER_BOUNDS if is_of_previous_release else _BOUNDS
    bounds = connection.execute(text(query.format(name=name))).one()
    if bounds.last_id is None:
        return
    first, last = (
        (bounds.first_at, bounds.last_at)
        if is_of_previous_release
        else (join_time(bounds.first_second, 0), join_time(bounds.last_second, 999_999))
    )
    for cursor_id, position in _behind(connection, "decisions", bounds.last_id):
        records = bounds.last_id - max(position, bounds.first_id - 1)
        _add(connection, cursor_id, Gap(records, bounds.last_id, first, last))


def _behind(connection: Connection, log: str, last_id: int) -> Sequence[tuple[int, int]]:
    """The cursors that are before an id of a log, each with its position."""
    query = select(_cursors.c.id, _cursors.c.position).where(_cursors.c.log == log, _cursors.c.position < last_id)
    return [(cursor_id, position) for cursor_id, position in connection.execute(query)]


def _add(connection: Connection, cursor_id: int, gap: Gap) -> None:
    columns = _cursors.c
    is_first = columns.gap_first_at.is_(None)
    first_at = case((or_(is_first, columns.gap_first_at > gap.first_at), gap.first_at), else_=columns.gap_first_at)
    last_at = case((or_(is_first, columns.gap_last_at < gap.last_at), gap.last_at), else_=columns.gap_last_at)
    last_id = case((columns.gap_last_id < gap.last_id, gap.last_id), else_=columns.gap_last_id)
    values = {
        "missed": columns.missed + gap.records,
        "gap_count": columns.gap_count + gap.records,
        "gap_last_id": last_id,
        "gap_first_at": first_at,
        "gap_last_at": last_at,
    }
    connection.execute(update(_cursors).where(columns.id == cursor_id).values(values))
