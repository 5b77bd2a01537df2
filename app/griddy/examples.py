"""Examples of rows for the OpenAPI document, from the sample data."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from app.db.tables import Body

_SAMPLE = Path(__file__).parent / "sample"


def example_row(table: Table, body: type[Body]) -> dict[str, Any]:
    """A row of the sample data with all its columns, as a response has it. Ids are counted from 1."""
    sample = _sample_rows()[table.name]
    ids = {key.parent.name: number for number, key in enumerate(sorted(table.foreign_keys, key=_name_of), 1)}
    given = {name: ids.get(name, value) for name, value in sample.items() if name in body.model_fields}
    fields = body.model_validate(given).model_dump(mode="json")
    server = {column.name: ids.get(column.name, 1) for column in table.columns if column.name not in fields}
    return {**server, **fields}


def _name_of(key: Any) -> str:
    return str(key.parent.name)


@cache
def _sample_rows() -> dict[str, dict[str, Any]]:
    """The row of each table that has most values. References in it are labels of other rows."""
    files = (json.loads(path.read_text(encoding="utf-8")) for path in sorted(_SAMPLE.glob("*.json")))
    return {table: max(rows, key=_count_values) for tables in files for table, rows in tables.items()}


def _count_values(row: dict[str, Any]) -> int:
    return sum(value is not None for value in row.values())
