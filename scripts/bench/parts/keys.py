"""A request by one of 1,000,000 API keys, 100,000 of them in use, compared with 1,000, on both databases; and the
memory of the key cache."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, text

from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.tables.base import table_of
from app.db.tables.keys import ApiKey
from app.identity.api_keys import mint
from scripts.bench.measuring import Load, Options, Row, absent, compared, load, loader, resident, spread
from scripts.bench.served import PATH, server
from tests.support.databases import Postgres
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

_FEW = 1_000
_AT_ONCE = 5_000
# The other keys, which are never used.
_MORE = {
    "sqlite": """
        INSERT INTO api_keys (subject, name, environment, key_prefix, digest, scopes, created_at)
        WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :rows)
        SELECT 'user_' || n % 1000, 'unused', 'live', 'grd_live_00000000', randomblob(32), '[]', '2026-11-24 00:00:00'
        FROM n
    """,
    "postgresql": """
        INSERT INTO api_keys (subject, name, environment, key_prefix, digest, scopes, created_at)
        SELECT 'user_' || n % 1000, 'unused', 'live', 'grd_live_00000000', sha256(('unused ' || n)::bytea), '[]', now()
        FROM generate_series(1, :rows) AS n
    """,
}


def measure(options: Options) -> Iterator[Row]:
    """Measure on SQLite, then on PostgreSQL."""
    if loader(options) != "wrk":
        yield absent("keys", "a request by one of many keys", "only wrk can send another key each time")
        return
    with ExitStack() as stack:
        issuer = stack.enter_context(LiveIssuer())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = Postgres()
        stack.callback(postgres.stop)
        for name in _MORE:
            urls = {
                kind: postgres.new(prepared=False) if name == "postgresql" else f"sqlite:///{place}/{kind}.db"
                for kind in ("few", "many")
            }
            yield from _on(options, issuer, place / name, urls)


def _on(options: Options, issuer: LiveIssuer, place: Path, urls: dict[str, str]) -> Iterator[Row]:
    where = place.name
    there, used = (2_000, 1_500) if options.tiny else (1_000_000, 100_000)
    files = {kind: place.with_name(f"{place.name}-{kind}.txt") for kind in urls}
    files["few"].write_text("\n".join(asyncio.run(_fill(urls["few"], _FEW, _FEW))))
    files["many"].write_text("\n".join(asyncio.run(_fill(urls["many"], there, used))))
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for kind, url in urls.items():
            side = server(place / kind, issuer, "protected")
            side.env["AUTHZ_DATABASE_URL"] = url
            servers[kind] = stack.enter_context(side)
        found: dict[str, list[Load]] = {kind: [] for kind in servers}
        before = resident(servers["many"])
        for kind, started in servers.items():
            _ask_by_each(options, started, files[kind])
        grown = resident(servers["many"]) - before
        for _ in range(options.rounds):
            for kind, started in servers.items():
                found[kind].append(load(options, started.url + PATH, keys=files[kind]))
    rates = {kind: [1e6 / each.rate for each in loads] for kind, loads in found.items()}
    few = f"a request, {_FEW:,} keys in use, {where}"
    yield Row("keys", few, "µs", spread(rates["few"]), "", _FEW, note=f"{_FEW:,} in the database")
    many, other = f"a request, {used:,} keys in use, {where}", (f"{_FEW:,} in use", rates["few"])
    note = f"{there:,} in the database"
    yield compared("keys", many, "µs", ours=rates["many"], other=other, goal="at most 1.1 times", size=used, note=note)
    yield Row("keys", f"memory for {used:,} remembered keys, {where}", "MB", spread([grown]), "")


def _ask_by_each(options: Options, started: Server, file: Path) -> None:
    """Send requests until every key is cached."""
    keys = len(file.read_text().split())
    asked = 0.0
    while asked < keys * 1.05:
        asked += load(options, started.url + PATH, keys=file).rate * max(1, round(options.seconds))


async def _fill(url: str, rows: int, used: int) -> list[str]:
    """Prepare a database with `size` keys; return the tokens of those in use."""
    await upgrade(url)
    minted = [mint("live") for _ in range(used)]
    engine = open_engine(url)
    async with engine.begin() as connection:
        for start in range(0, used, _AT_ONCE):
            some = [
                {
                    "subject": "user_bench",
                    "name": "used",
                    "environment": key.environment,
                    "key_prefix": key.prefix,
                    "digest": key.digest,
                    "scopes": ["catalog:read"],
                    "created_at": datetime.now(UTC),
                }
                for key in minted[start : start + _AT_ONCE]
            ]
            await connection.execute(insert(table_of(ApiKey)), some)
        if rows > used:
            await connection.execute(text(_MORE[engine.dialect.name]), {"rows": rows - used})
    await engine.dispose()
    return [key.plaintext for key in minted]
