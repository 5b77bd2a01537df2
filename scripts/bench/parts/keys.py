"""Verifying API keys out of a database with many, as more of them are in use."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from app.db.api_keys import key_lookup
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.session import sessions_of
from app.identity.api_keys import NewKey, mint
from app.identity.key_verifier import ApiKeyVerifier
from scripts.bench.measuring import Options, Row, compared

_CACHE_SECONDS = 1.0  # as AUTHZ_KEY_CACHE_SECONDS is without being set


def measure(options: Options) -> Iterator[Row]:
    """What a verification costs with so many in use, beside one with 1,000, on SQLite."""
    yield from asyncio.run(_measure(options))


async def _measure(options: Options) -> list[Row]:
    there, sizes = (200, (10, 100)) if options.tiny else (1_000_000, (1_000, 10_000, 100_000))
    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/keys.db"
        await upgrade(url)
        keys = _fill(Path(place, "keys.db"), there, max(sizes))
        engine = open_engine(url)
        find = key_lookup(sessions_of(engine))
        took: dict[int, list[float]] = {size: [] for size in sizes}
        for _ in range(options.rounds):
            for size in sizes:
                verifier = ApiKeyVerifier(
                    find, environments=["live"], cache_seconds=_CACHE_SECONDS, seen=lambda _: None
                )
                for _ in range(2):  # the first fills what is remembered, as far as it goes
                    average = await _average(verifier, keys[:size], options.seconds)
                took[size].append(average)
        await engine.dispose()
    first = f"{sizes[0]:,} in use", took[sizes[0]]
    return [
        compared(
            "keys",
            f"a key, {size:,} of {there:,} in use",
            "µs",
            ours=found,
            other=first,
            goal="a request at most 1.1 times",
            size=size,
        )
        for size, found in took.items()
    ]


async def _average(verifier: ApiKeyVerifier, used: list[str], seconds: float) -> float:
    """Microseconds for each of as many verifications as there are in so many seconds."""
    started, made = time.perf_counter(), 0
    while (now := time.perf_counter()) - started < seconds:
        for key in random.choices(used, k=100):
            await verifier.verify(key)
        made += 100
    return (now - started) / made * 1e6


def _fill(file: Path, rows: int, used: int) -> list[str]:
    """Store keys; the tokens of those that will be used."""
    minted: list[NewKey] = [mint("live") for _ in range(used)]
    with closing(sqlite3.connect(file)) as database, database:
        columns = {row[1] for row in database.execute("PRAGMA table_info(api_keys)")}
        values = {
            "subject": "user_bench",
            "name": "bench",
            "environment": "live",
            "scopes": '["catalog:read"]',
            "created_at": "2026-11-24 00:00:00.000000",
        }
        known = [name for name in values if name in columns]
        names = ", ".join(["digest", "key_prefix", *known])
        marks = ", ".join("?" * (2 + len(known)))
        made = ((key.digest, key.prefix) for key in minted)
        more = ((random.randbytes(32), f"grd_live_{number:08x}") for number in range(rows - used))
        shared = tuple(values[name] for name in known)
        for some in (made, more):
            database.executemany(f"INSERT INTO api_keys ({names}) VALUES ({marks})", ((*row, *shared) for row in some))
    return [key.plaintext for key in minted]
