"""Stores and reads the entries of a chain."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.audit.chain.canonical import VERSION
from app.audit.chain.entry import (
    FIRST_PREVIOUS,
    ChainEntry,
    ChainHead,
    EntryKind,
    LogName,
    Retirement,
    SealedPart,
    content_of,
)
from app.audit.chain.segment import StoredPart
from app.audit.chain.signatures import EntrySignature, SigningKey
from app.db.tables.base import table_of
from app.db.tables.chain import ChainEntryRow, ChainPartRow

# An advisory lock that nothing else uses: entries are added by one process at a time.
_ADVISORY_LOCK = 0x6175746880
_entries, _parts = table_of(ChainEntryRow), table_of(ChainPartRow)
_PART_TYPES: Mapping[str, type] = {
    "part_class": str,
    **dict.fromkeys(("day", "count", "first_id", "last_id", "first_at", "last_at"), int),
    **dict.fromkeys(("rows_hash", "digests_hash"), bytes),
}
_PART_COLUMNS = tuple(_PART_TYPES)
_ENTRY_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("sequence", "version", "after_id", "up_to_id", "at"), int),
    **dict.fromkeys(("previous", "hash"), bytes),
}


Executor = AsyncSession | AsyncConnection


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry with its parts, and with the hash and the signature that the database has."""

    entry: ChainEntry
    parts: Sequence[StoredPart]
    hash: bytes
    signature: EntrySignature | None

    @property
    def head(self) -> ChainHead:
        """The entry as a head of its chain."""
        return ChainHead(self.entry.log, self.entry.sequence, self.hash)


def now() -> int:
    """The time of a new entry."""
    return time.time_ns() // 1000


async def lock_chain(connection: AsyncConnection) -> None:
    """Take the lock of the chain until the transaction ends; on SQLite, its begin took it."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


async def newest(session: Executor, log: LogName) -> StoredEntry | None:
    """The newest entry of a chain, without its parts."""
    query = select(_entries).where(_entries.c.log == log).order_by(_entries.c.sequence.desc()).limit(1)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _stored(row, ())


async def first_sequence(session: Executor, log: LogName) -> int | None:
    """The sequence number of the oldest entry of a chain; None if there is none."""
    found: int | None = await session.scalar(select(func.min(_entries.c.sequence)).where(_entries.c.log == log))
    return found


async def entries_from(session: Executor, log: LogName, sequence: int, size: int) -> Sequence[StoredEntry]:
    """The first entries from a sequence number on, without the digests of rows: see `with_digests`.

    Raises TypeError for values that no program wrote.
    """
    query = select(_entries).where(_entries.c.log == log, _entries.c.sequence >= sequence)
    rows = (await session.execute(query.order_by(_entries.c.sequence).limit(size))).all()
    if not rows:
        return ()
    parts: dict[int, list[StoredPart]] = {}
    columns = _parts.c["sequence", *_PART_COLUMNS]
    in_range = _parts.c.sequence.between(rows[0].sequence, rows[-1].sequence)
    for row in await session.execute(select(*columns).where(_parts.c.log == log, in_range)):
        parts.setdefault(row.sequence, []).append(StoredPart(_part(row[1:]), None))
    return [_stored(row, parts.get(row.sequence, ())) for row in rows]


async def following(session: Executor, after: int, limit: int) -> Sequence[tuple[int, StoredEntry]]:
    """The first entries of all chains with an id above `after`, each with its id and without its parts."""
    query = select(_entries).where(_entries.c.id > after).order_by(_entries.c.id).limit(limit)
    return [(row.id, _stored(row, ())) for row in await session.execute(query)]


async def with_digests(session: Executor, log: LogName, sequence: int) -> Sequence[StoredPart]:
    """The parts of an entry with the digests of their rows."""
    query = select(*_parts.c[_PART_COLUMNS], _parts.c.digests)
    found = await session.execute(query.where(_parts.c.log == log, _parts.c.sequence == sequence))
    return [StoredPart(_part(row[:-1]), row[-1] if isinstance(row[-1], bytes) else None) for row in found]


async def retirements(session: Executor, log: LogName) -> Sequence[tuple[int, Retirement]]:
    """All retirements of a chain with their sequence numbers, oldest first."""
    query = select(_entries.c.sequence, _entries.c.content).where(
        _entries.c.log == log, _entries.c.kind == "retirement"
    )
    found = []
    for sequence, content in await session.execute(query.order_by(_entries.c.sequence)):
        # A check visits all others, and finds those that no server wrote.
        is_visited = isinstance(sequence, int) and sequence >= 1 and isinstance(content, str)
        if is_visited and (retirement := Retirement.read(content)) is not None:
            found.append((sequence, retirement))
    return found


async def add(
    session: Executor,
    log: LogName,
    head: StoredEntry | None,
    key: SigningKey | None,
    *,
    up_to_id: int,
    parts: Sequence[StoredPart] = (),
    retirement: Retirement | None = None,
) -> StoredEntry:
    """Add an entry after `head`, which is the newest one, in a transaction with the lock of the chain."""
    entry = ChainEntry(
        log=log,
        sequence=head.entry.sequence + 1 if head else 1,
        kind="segment" if retirement is None else "retirement",
        version=VERSION,
        after_id=head.entry.up_to_id if head else 0,
        up_to_id=up_to_id,
        at=now(),
        previous=head.hash if head else FIRST_PREVIOUS,
        content=content_of([stored.part for stored in parts]) if retirement is None else retirement.line,
    )
    signature = key.sign(entry.hash) if key else None
    await session.execute(
        insert(_entries).values(
            log=log,
            sequence=entry.sequence,
            kind=entry.kind,
            version=entry.version,
            after_id=entry.after_id,
            up_to_id=up_to_id,
            at=entry.at,
            previous=entry.previous,
            hash=entry.hash,
            content=None if retirement is None else entry.content,
            key_id=signature.key_id if signature else None,
            signature=signature.value if signature else None,
        )
    )
    if parts:
        rows = [
            {
                "log": log,
                "sequence": entry.sequence,
                "digests": stored.digests,
                **{name: getattr(stored.part, name) for name in _PART_COLUMNS},
            }
            for stored in parts
        ]
        await session.execute(insert(_parts), rows)
    return StoredEntry(entry, parts, entry.hash, signature)


async def delete_before(session: Executor, log: LogName, sequence: int) -> None:
    """Delete the entries before a sequence number."""
    for table in (_parts, _entries):
        await session.execute(delete(table).where(table.c.log == log, table.c.sequence < sequence))


def _part(values: Sequence[Any]) -> SealedPart:
    """A part. Raises TypeError for values that no program wrote: SQLite stores any value in a column."""
    if not all(map(isinstance, values, _PART_TYPES.values())):
        raise TypeError("a part with values of another type")
    return SealedPart(*values)


def _stored(row: Row[Any], parts: Sequence[StoredPart]) -> StoredEntry:
    """An entry. Raises TypeError likewise."""
    if not all(isinstance(row._mapping[name], kind) for name, kind in _ENTRY_TYPES.items()):
        raise TypeError("an entry with values of another type")
    content = row.content if row.kind == "retirement" else content_of([stored.part for stored in parts])
    entry = ChainEntry(
        cast("LogName", row.log),
        row.sequence,
        cast("EntryKind", row.kind),
        row.version,
        row.after_id,
        row.up_to_id,
        row.at,
        row.previous,
        content or "",
    )
    signature = EntrySignature(str(row.key_id), row.signature) if isinstance(row.signature, bytes) else None
    return StoredEntry(entry, parts, row.hash, signature)
