"""Records in the chain what retention deletes, in the transaction that deletes it.

A part is retired before its first row is deleted. The decision rests on the age or the size of the log, never on which
rows are missing: otherwise a removed row would be taken for a deleted one.
"""

from __future__ import annotations

from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.chain.entry import Retirement
from app.audit.chain.signatures import SigningKey
from app.audit.decision_class import DecisionClass
from app.db import chain_store
from app.db.chain_rows import lowest_id
from app.db.tables.base import table_of
from app.db.tables.chain import ChainEntryRow, ChainPartRow

_LOG: Literal["decisions"] = "decisions"
_entries, _parts = table_of(ChainEntryRow), table_of(ChainPartRow)
_is_kept = (_parts.c.log == _LOG) & _parts.c.digests.is_not(None)


async def retire_before(connection: AsyncConnection, key: SigningKey | None, at: int) -> None:
    """Retire the parts that began before a time, in microseconds since 1970, of which decisions will be deleted."""
    if await _retire(connection, _parts.c.first_at < at):
        await _add(connection, key, "age", None, before_at=at)


async def retire_class(
    connection: AsyncConnection, key: SigningKey | None, part_class: DecisionClass, up_to_id: int
) -> None:
    """Retire the parts of a class that began at or before an id, up to which its decisions will be deleted."""
    if await _retire(connection, (_parts.c.part_class == part_class) & (_parts.c.first_id <= up_to_id)):
        await _add(connection, key, "size", part_class, up_to_id=up_to_id)


async def _retire(connection: AsyncConnection, condition: ColumnElement[bool]) -> int:
    """Discard the digests of parts, under the lock of the chain; return how many parts had some."""
    # Before the look, since a segment that is being added may have such a part.
    await chain_store.lock_chain(connection)
    done = await connection.execute(update(_parts).where(_is_kept, condition).values(digests=None))
    return cast(CursorResult[Any], done).rowcount


async def _add(
    connection: AsyncConnection,
    key: SigningKey | None,
    reason: Literal["age", "size"],
    part_class: DecisionClass | None,
    *,
    before_at: int | None = None,
    up_to_id: int | None = None,
) -> None:
    head = await chain_store.newest(connection, _LOG)
    if head is None:
        return
    first = await chain_store.first_sequence(connection, _LOG) or 1
    kept = max(first, await _first_kept(connection, head.entry.sequence + 1))
    if kept > first:
        await chain_store.delete_before(connection, _LOG, kept)
    retirement = Retirement(reason, part_class, before_at, up_to_id, kept)
    await chain_store.add(connection, _LOG, head, key, up_to_id=head.entry.up_to_id, retirement=retirement)


async def _first_kept(connection: AsyncConnection, following: int) -> int:
    """The sequence number of the first entry with a part that is not retired, or with rows in the log."""
    unretired = select(_parts.c.sequence).where(_is_kept).order_by(_parts.c.sequence).limit(1)
    found = [following, await connection.scalar(unretired)]
    lowest = await lowest_id(connection, _LOG)
    if lowest is not None:
        has_rows = (_entries.c.log == _LOG) & (_entries.c.kind == "segment") & (_entries.c.up_to_id >= lowest)
        found.append(
            await connection.scalar(select(_entries.c.sequence).where(has_rows).order_by(_entries.c.sequence).limit(1))
        )
    return min(sequence for sequence in found if sequence is not None)
