"""Why the database refused a write, said in terms of fields and tables, on every database alike.

A driver's message names a constraint at best, so the question is put to the tables once a write has failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Column, ForeignKey, Table, UniqueConstraint, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession


class WriteRefused(Exception):
    """The database refused a write for what it would have meant."""


class UnknownReference(WriteRefused):
    """`fields` hold ids of rows that do not exist."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(f"no such row: {', '.join(fields)}")
        self.fields = fields  # field to the table that it refers to


class NotUnique(WriteRefused):
    """Another row has the same values in `fields`, which must be unique together."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        super().__init__(f"not unique: {', '.join(fields)}")
        self.fields = fields


class StillReferredTo(WriteRefused):
    """Rows of `tables` refer to the row that was to be deleted."""

    def __init__(self, tables: tuple[str, ...]) -> None:
        super().__init__(f"still referred to by {', '.join(tables)}")
        self.tables = tables


async def refusal_of_write(
    session: AsyncSession, table: Table, values: Mapping[str, Any], row_id: int | None
) -> WriteRefused | None:
    """Why `values` cannot be written to the row (None: a new one); None if nothing stands against it any more."""
    unknown = await _unknown_references(session, table, values)
    if unknown:
        return UnknownReference(unknown)
    for together in _unique_together(table):
        if any(values.get(column.name) is None for column in together):
            continue  # a NULL is not equal to another
        taken = and_(*(column == values[column.name] for column in together), table.c.id != (row_id or 0))
        if (await session.execute(select(exists().where(taken)))).scalar():
            return NotUnique(tuple(column.name for column in together))
    return None


async def refusal_of_delete(session: AsyncSession, table: Table, row_id: int) -> WriteRefused | None:
    """Which tables refer to the row; None if none does any more."""
    referring = {
        key.parent.table.name
        for key in _foreign_keys_to(table)
        if (await session.execute(select(exists().where(key.parent == row_id)))).scalar()
    }
    return StillReferredTo(tuple(sorted(referring))) if referring else None


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
    """The foreign keys that stand against a deletion."""
    for other in table.metadata.tables.values():
        for key in other.foreign_keys:
            if key.column.table is table and key.ondelete == "RESTRICT":
                yield key
