"""Inserts many rows that may exist, in one statement, and returns their ids.

The statements are text, since SQLAlchemy compiles an INSERT of many rows each time, which takes longer than it runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import import_module
from typing import Any

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

_SQLITE_ROWS = 256  # in a statement


@dataclass(frozen=True, slots=True)
class Upsert:
    """An INSERT of `columns`. In an existing row, those in `widened` get the least or the greatest of both values."""

    table: Table
    columns: tuple[str, ...]
    unique: tuple[str, ...]
    widened: tuple[tuple[str, str], ...]  # a column, and `min` or `max`

    async def run(self, connection: AsyncConnection, rows: Sequence[Sequence[object]]) -> Mapping[tuple[Any, ...], int]:
        """Insert rows, each with other unique values; return the ids by these values."""
        found: list[Any] = []
        if connection.dialect.name == "sqlite":
            for start in range(0, len(rows), _SQLITE_ROWS):
                chunk = list(rows[start : start + _SQLITE_ROWS])
                # Few numbers of rows, so that the driver finds the prepared statement: the last row may be repeated.
                chunk += chunk[-1:] * ((1 << (len(chunk) - 1).bit_length()) - len(chunk))
                # The driver for SQLite takes a date as text.
                values = tuple(str(value) if isinstance(value, date) else value for row in chunk for value in row)
                found += await connection.exec_driver_sql(_sqlite(self, len(chunk)), values)
        elif rows:
            columns = tuple(list(column) for column in zip(*rows, strict=True))
            found += await connection.exec_driver_sql(_postgresql(self), columns)
        return {tuple(row[1:]): row[0] for row in found}


def _statement(upsert: Upsert, source: str, functions: Mapping[str, str]) -> str:
    name, unique = upsert.table.name, ", ".join(upsert.unique)
    widened = ", ".join(
        f"{column} = {functions[function]}({name}.{column}, excluded.{column})" for column, function in upsert.widened
    )
    return (
        f"INSERT INTO {name} ({', '.join(upsert.columns)}) {source} "  # our own names
        f"ON CONFLICT ({unique}) DO UPDATE SET {widened} RETURNING id, {unique}"
    )


@cache
def _sqlite(upsert: Upsert, rows: int) -> str:
    row = f"({', '.join('?' * len(upsert.columns))})"
    return _statement(upsert, f"VALUES {', '.join([row] * rows)}", {"min": "min", "max": "max"})


@cache
def _postgresql(upsert: Upsert) -> str:
    # Imported here, since a start on SQLite would pay for it.
    dialect = import_module("sqlalchemy.dialects.postgresql").dialect()
    types = [upsert.table.c[column].type.compile(dialect) for column in upsert.columns]
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, 1))
    source = f"SELECT * FROM unnest({arrays})"  # noqa: S608  # types of our own columns
    return _statement(upsert, source, {"min": "least", "max": "greatest"})
