"""Reads rows of the decision log as they are stored, many in one step: a seal needs no records of them.

The driver of SQLite takes the interpreter lock for each row, which under load costs a switch of threads. There all rows
of a page come as one JSON text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgspec
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.row_order import dialect_of
from app.db.tables.decisions import ID_BLOCK_BITS

# Id, id of the key, second, microsecond, latency, number of equal decisions, request id and token id as hex digits.
StoredRow = tuple[int, int, int, int, int, int | None, str, str | None]
_decode = msgspec.json.Decoder(list[StoredRow]).decode
_SQLITE = """
SELECT json_group_array(json_array(id, decision_key_id, second, microsecond, latency, count, hex(request_id),
    CASE WHEN token_id IS NOT NULL THEN hex(token_id) END)),
  total(typeof(request_id) <> 'blob' OR typeof(token_id) NOT IN ('blob', 'null'))
FROM (SELECT * FROM decision_rows WHERE id > ? AND id <= ? ORDER BY id LIMIT ?)
"""
_BLOCK = f"(id >> {ID_BLOCK_BITS})"
_POSTGRESQL = f"""
SELECT id, decision_key_id, second, microsecond, latency, count, encode(request_id, 'hex'), encode(token_id, 'hex')
FROM decision_rows
WHERE {_BLOCK} >= $1::bigint >> {ID_BLOCK_BITS} AND {_BLOCK} <= $2::bigint >> {ID_BLOCK_BITS}
  AND id > $1::bigint AND id <= $2::bigint ORDER BY {_BLOCK}, id LIMIT $3::bigint
"""  # noqa: S608  # a number of our own


async def stored_rows(session: AsyncSession, after: int, up_to: int, size: int) -> Sequence[StoredRow] | None:
    """The first rows with ids greater than `after` and up to `up_to`, by id.

    Returns None if one of them has a value of a type that no program wrote: SQLite stores any value in a column.
    """
    connection, parameters = await session.connection(), (after, up_to, size)
    if dialect_of(session) != "sqlite":
        found = await connection.exec_driver_sql(_POSTGRESQL, parameters)
        return [cast(StoredRow, tuple(row)) for row in found]
    try:
        text, others = tuple((await connection.exec_driver_sql(_SQLITE, parameters)).one())
        rows = _decode(text)
    except (DBAPIError, msgspec.DecodeError):  # a blob in the place of a number has no JSON
        return None
    rows.sort()  # SQLite states no order of the array
    return None if others else rows
