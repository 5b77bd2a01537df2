"""Logs with a chain: written, sealed, verified, and changed behind the back of the program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import CursorResult

from app.audit.batch import Batch
from app.audit.chain.entry import ChainHead, LogName
from app.audit.chain.faults import ChainFault
from app.audit.chain.signatures import PublicKeys, SigningKey
from app.audit.record import Record
from app.db import chain_store
from app.db.chain_check import CheckOptions, LogCheck, check_log
from app.db.decision_writer import DecisionWriter
from app.db.sealing import Sealer
from app.db.session import Sessions

NO_KEYS = PublicKeys({})


async def write(sessions: Sessions, records: Sequence[Record]) -> None:
    """Store decisions."""
    await DecisionWriter(sessions).write(Batch.of(records))


async def seal(sessions: Sessions, log: LogName = "decisions", *, rows: int = 50, key: SigningKey | None = None) -> int:
    """Seal all rows of a log, in segments of at most `rows`; return the number of rows."""
    sealer, total = Sealer(sessions, key=key, segment_rows=rows), 0
    while sealed := await sealer.seal(log):
        total += sealed
    return total


async def verify(
    sessions: Sessions, log: LogName = "decisions", *, keys: PublicKeys = NO_KEYS, **options: Any
) -> tuple[list[ChainFault], LogCheck]:
    """The faults of a log, and the result of its check."""
    result = LogCheck(log)
    check = check_log(sessions, result, CheckOptions(keys, **options), lambda _: None)
    return [fault async for fault in check], result


async def faults(sessions: Sessions, log: LogName = "decisions", **options: Any) -> list[tuple[str, int | None]]:
    """The kinds of the faults of a log, with the ids of rows."""
    found, result = await verify(sessions, log, **options)
    assert result.faults == len(found)
    return sorted((fault.kind, fault.row_id) for fault in found)


async def head(sessions: Sessions, log: LogName = "decisions") -> ChainHead:
    """The head of a chain."""
    async with sessions() as session:
        newest = await chain_store.newest(session, log)
    assert newest is not None
    return newest.head


async def run(sessions: Sessions, *statements: str, **values: Any) -> int:
    """Run statements in one transaction, as an attacker could; return the number of rows that the last one changed."""
    async with sessions() as session:
        for statement in statements:
            done = await session.execute(text(statement), values)
        await session.commit()
    assert isinstance(done, CursorResult)
    return done.rowcount
