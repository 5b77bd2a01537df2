"""The order of decision rows by id and by time, and conditions that the indexes of both databases serve.

On PostgreSQL an index on ids or seconds takes 20 bytes a row. One on blocks of them has each block once, and six bytes
for each of its rows, which are sorted when they are read. There an order begins with the block, and a condition bounds
it too. SQLite stores no value once for many rows, and has indexes on the columns themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, and_, literal_column, true
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.db.tables.base import table_of
from app.db.tables.decisions import ID_BLOCK_BITS, SECOND_BLOCK_BITS, DecisionRow

TIME_BLOCK = "block"
_rows = table_of(DecisionRow)


def dialect_of(executor: AsyncSession | AsyncConnection) -> str:
    """The name of the dialect of a session or a connection."""
    return (executor if isinstance(executor, AsyncConnection) else executor.get_bind()).dialect.name


def ids_after(dialect: str, after: int, up_to: int | None = None) -> ColumnElement[bool]:
    """The condition on rows with ids greater than `after`, and at most `up_to`."""
    return (_rows.c.id > after) & _between(dialect, _rows.c.id, ID_BLOCK_BITS, after, up_to)


def id_in(dialect: str, ids: Sequence[int]) -> ColumnElement[bool]:
    """The condition on rows with these ids."""
    condition = _rows.c.id.in_(ids)
    if dialect != "postgresql":
        return condition
    return condition & _block(_rows.c.id, ID_BLOCK_BITS).in_(sorted({row_id >> ID_BLOCK_BITS for row_id in ids}))


def by_id(dialect: str, *, newest_first: bool = False) -> list[ColumnElement[Any]]:
    """The columns to order rows by, for the order of ids."""
    return _ordered(dialect, (_rows.c.id,), ID_BLOCK_BITS, newest_first=newest_first)


def seconds_between(dialect: str, first: int | None = None, last: int | None = None) -> ColumnElement[bool]:
    """The condition on rows with seconds from `first` to `last`, both included; None is no bound."""
    return _between(dialect, _rows.c.second, SECOND_BLOCK_BITS, first, last)


def by_time(dialect: str, *, newest_first: bool = False) -> list[ColumnElement[Any]]:
    """The columns to order rows by, for the order of times and ids."""
    columns = (_rows.c.second, _rows.c.microsecond, _rows.c.id)
    return _ordered(dialect, columns, SECOND_BLOCK_BITS, newest_first=newest_first)


def time_block(dialect: str) -> list[ColumnElement[Any]]:
    """What a subquery selects so that a query keeps its order: the block, on PostgreSQL."""
    return [_block(_rows.c.second, SECOND_BLOCK_BITS).label(TIME_BLOCK)] if dialect == "postgresql" else []


def _block(column: Column[int], bits: int) -> ColumnElement[int]:
    # A literal, as in the expression of the index.
    return column.bitwise_rshift(literal_column(str(bits)))


def _between(dialect: str, column: Column[int], bits: int, first: int | None, last: int | None) -> ColumnElement[bool]:
    terms: list[ColumnElement[bool]] = []
    for value, compared in ((column, 0), (_block(column, bits), bits)) if dialect == "postgresql" else ((column, 0),):
        if first is not None:
            terms.append(value >= first >> compared)
        if last is not None:
            terms.append(value <= last >> compared)
    return and_(true(), *terms)


def _ordered(
    dialect: str, columns: Sequence[Column[Any]], bits: int, *, newest_first: bool
) -> list[ColumnElement[Any]]:
    order: list[ColumnElement[Any]] = list(columns)
    if dialect == "postgresql":
        order.insert(0, _block(columns[0], bits))
    return [column.desc() for column in order] if newest_first else order
