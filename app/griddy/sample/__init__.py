"""Sample data: facts about the NFL, and a few invented holdings.

In the files a reference is the label of the referenced row: `KC` for a team, 2023 for a season.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Table, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.engine import LOCK_FIRST
from app.db.tables import Body, metadata, table_of
from app.griddy.catalog import RESOURCES as CATALOG
from app.griddy.holdings import RESOURCES as HOLDINGS

_HERE = Path(__file__).parent
_FILES = ("catalog.json", "holdings.json")
_BODIES = {table_of(resource.model).name: resource.body for resource in (*CATALOG, *HOLDINGS)}
_LABELS = {
    "leagues": "abbreviation",
    "seasons": "year",
    "franchises": "name",
    "venues": "name",
    "teams": "abbreviation",
    "games": "title",
    "sources": "name",
    "acquisitions": "acquired_on",
    "video_assets": "title",
    "tags": "name",
}
_Row = dict[str, Any]


async def load(session: AsyncSession) -> dict[str, int]:
    """Insert the sample data and return the number of rows by table. Does nothing if any of the tables has a row.

    The caller commits.
    """
    sample = _read()
    tables = [table for table in metadata.sorted_tables if table.name in sample]
    await session.connection(execution_options=LOCK_FIRST)
    for table in tables:
        if (await session.execute(select(exists().select_from(table)))).scalar():
            return {}
    ids: dict[str, dict[Any, int]] = {}
    for table in tables:
        rows = sample[table.name]
        written = insert(table).returning(table.c.id, sort_by_parameter_order=True)
        new = await session.scalars(written, [_resolved(row, table, ids) for row in rows])
        ids[table.name] = dict(zip((row.get(_LABELS.get(table.name, "")) for row in rows), new, strict=True))
    return {table.name: len(sample[table.name]) for table in tables}


def _read() -> dict[str, list[_Row]]:
    return {
        table: rows for file in _FILES for table, rows in json.loads((_HERE / file).read_text(encoding="utf-8")).items()
    }


def _resolved(row: _Row, table: Table, ids: Mapping[str, Mapping[Any, int]]) -> _Row:
    """The row with ids in place of labels, validated like a row of a client."""
    references = {key.parent.name: ids[key.column.table.name] for key in table.foreign_keys}
    values = {name: references[name][value] if name in references else value for name, value in row.items()}
    body: type[Body] = _BODIES[table.name]
    checked = body.model_validate({name: value for name, value in values.items() if name in body.model_fields})
    return values | checked.model_dump()
