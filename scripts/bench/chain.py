"""The cost of the hash chain: fills a decision log, seals it with a key, and verifies it.

    python -m scripts.bench.chain                             # 200,000 decisions in SQLite
    python -m scripts.bench.chain --rows 1000000
    python -m scripts.bench.chain --url postgresql://…        # in an empty database of PostgreSQL

Exits with 1 if the log does not verify.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select, text

from app.audit.chain.signatures import PublicKeys, SigningKey
from app.db.chain_check import CheckOptions, LogCheck, check_log
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.sealing import Sealer
from app.db.session import Sessions, sessions_of
from app.db.tables.base import table_of
from app.db.tables.chain import ChainEntryRow, ChainPartRow
from scripts.bench.decision_log import World, fill

_ENTRIES, _PARTS = table_of(ChainEntryRow), table_of(ChainPartRow)


async def run(url: str, rows: int) -> int:
    """Print what each step costs; return the number of faults."""
    await upgrade(url)
    engine = open_engine(url)
    sessions = sessions_of(engine)
    await fill(sessions, World(1), rows)
    private = Ed25519PrivateKey.generate()
    key = SigningKey(private)
    before, processor, started = await _bytes(sessions), time.process_time(), time.monotonic()
    sealer = Sealer(sessions, key=key)
    sealed = 0
    while count := await sealer.seal("decisions"):
        sealed += count
    _print("sealed", sealed, processor, started)
    print(f"  {(await _bytes(sessions) - before) / sealed:.1f} bytes a decision")
    result = LogCheck("decisions")
    processor, started = time.process_time(), time.monotonic()
    keys = PublicKeys({key.key_id: private.public_key()})
    faults = [fault async for fault in check_log(sessions, result, CheckOptions(keys), lambda _: None)]
    _print("verified", result.checked, processor, started)
    print(f"  {len(faults)} faults; {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB of memory at most")
    await engine.dispose()
    return len(faults)


def _print(step: str, rows: int, processor: float, started: float) -> None:
    used, elapsed = time.process_time() - processor, time.monotonic() - started
    print(f"{step} {rows:,} decisions in {elapsed:.1f} s, {used * 1e6 / rows:.1f} microseconds of the processor each")


async def _bytes(sessions: Sessions) -> int:
    """The bytes of the database file, or of the tables of the chain in PostgreSQL."""
    async with sessions() as session:
        if session.get_bind().dialect.name == "postgresql":
            sizes = [select(func.pg_total_relation_size(table.name)) for table in (_ENTRIES, _PARTS)]
            return sum([int(await session.scalar(size) or 0) for size in sizes])
        pages = await session.scalar(
            text("SELECT page_count - freelist_count FROM pragma_page_count, pragma_freelist_count")
        )
        return int(pages or 0) * int(await session.scalar(text("PRAGMA page_size")) or 0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200_000, help="decisions (default 200,000)")
    parser.add_argument("--url", help="an empty database; without it, one in SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        return int(asyncio.run(run(options.url or f"sqlite:///{Path(directory) / 'log.db'}", options.rows)) > 0)


if __name__ == "__main__":
    sys.exit(main())
