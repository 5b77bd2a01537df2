"""The reason why the database refused a write, in terms of fields and tables, the same for each database.

The message of a driver names at most the constraint, so the tables are queried after a failed write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Column, ForeignKey, Table, UniqueConstraint, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession


class WriteRefused(Exception):
    """The database refused a write because of a constraint."""


class UnknownReference(WriteRefused):
    """The ids in `fields` do not exist."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(f"no such row: {', '.join(fields)}")
        self.fields = fields  # the referenced table by field


class NotUnique(WriteRefused):
    """Another row has the same values in `fields`, which must be unique together."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(f"not unique: {', '.join(fields)}")
        self.fields = fields


class StillReferencedError(WriteRefused):
    """Rows of `tables` reference the row to delete."""

    def __init__(self, tables: tuple[str, ...]) -> None:
        super().__init__(f"still referenced by {', '.join(tables)}")
        self.tables = tables


async def refusal_of_write(
    session: AsyncSession, table: Table, values: Mapping[str, Any], row_id: int | None
) -> WriteRefused | None:
    """Why `values` cannot be written to a row, or to a new one if `row_id` is None; None if they can by now."""
    unknown = await _unknown_references(session, table, values)
    if unknown:
        return UnknownReference(unknown)
    for together in _unique_together(table):
        if any(values.get(column.name) is None for column in together):
            continue  # a NULL is not equal to another
        is_equal = and_(*(column == values[column.name] for column in together), table.c.id != (row_id or 0))
        if (await session.execute(select(exists().where(is_equal)))).scalar():
            return NotUnique(tuple(column.name for column in together))
    return None


async def refusal_of_delete(session: AsyncSession, table: Table, row_id: int) -> WriteRefused | None:
    """Why a row cannot be deleted; None if it can by now."""
    referring = {
        key.parent.table.name
        for key in _foreign_keys_to(table)
        if (await session.execute(select(exists().where(key.parent == row_id)))).scalar()
    }
    return StillReferencedError(tuple(sorted(referring))) if referring else None


async def _unknown_references(session: AsyncSession, table: Table, values: Mapping[str, Any]) -> dict[str, str]:
    unknown = {}
    for key in sorted(table.foreign_keys, key=lambda key: key.parent.name):
        value = values.get(key.parent.name)
        if value is None:
            continue
        if not (await session.execute(select(exists().where(key.column == value)))).scalar():
            unknown[key.parent.name] = key.column.table.name
    return unknown


def _unique_together(table: Table) -> Iterator[tuple[Column[Any], ...]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(constraint.columns)


def _foreign_keys_to(table: Table) -> Iterator[ForeignKey]:
    """The foreign keys that prevent a deletion."""
    for other in table.metadata.tables.values():
        for key in other.foreign_keys:
            if key.column.table is table and key.ondelete == "RESTRICT":
                yield key
