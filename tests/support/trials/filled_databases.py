"""Databases with very many generated keys and decisions, filled in SQL, with the same content each time."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.partitions import AHEAD_DAYS, DAY, make_ahead

DAYS = 30
KEYS_EACH = 20  # of one owner
GRANT_SETS = 2_000
_KEY_COLUMNS = (
    "subject, name, environment, key_prefix, digest, scopes, created_at, last_used_at, expires_at, revoked_at"
)
_DECISION_COLUMNS = (
    "at, latency, request_id, door, subject, method, key_id, token_id, action, resource, allowed, reason, rule_place, "
    "rule_text, missing, revision, grant_set_id"
)


def digest_of(number: int) -> bytes:
    """The digest of the key with this number, which is its id."""
    return hashlib.sha256(f"key {number}".encode()).digest()


def _owner(number: str, keys: int) -> str:
    return f"'user_' || ({number} % {max(1, keys // KEYS_EACH)})"


def _keys(number: str, keys: int, when: str, digest: str, json: str) -> str:
    """The values of a key: seven of ten were used, two of seven expire, one of twenty is revoked."""
    return f"""
        {_owner(number, keys)}, 'key ' || {number}, CASE WHEN {number} % 4 = 0 THEN 'test' ELSE 'live' END,
        CASE WHEN {number} % 4 = 0 THEN 'grd_test_' ELSE 'grd_live_' END || substr(hash, 1, 8),
        {digest}, {json}, {when.format(f"-{number} * 60")},
        CASE WHEN {number} % 10 < 7 THEN {when.format(f"-({number} % 999983)")} END,
        CASE WHEN {number} % 7 < 2 THEN {when.format(f"({number} * 7919 % 1000003) - 90000")} END,
        CASE WHEN {number} % 20 = 0 THEN {when.format(f"-({number} % 99991)")} END"""


def _decisions(number: str, rows: int, keys: int, start: int) -> str:
    """The values of a decision: three of five by a key, one of twenty denied, ten revisions one after the other."""
    by_key = f"{number} % 5 < 3"
    return f"""
        {start} + {number} * ({DAYS * DAY} / {rows}), 20 + {number} % 900, hash, 'app', {_owner(number, keys)},
        CASE WHEN {by_key} THEN 'api_key' ELSE 'jwt' END, CASE WHEN {by_key} THEN 1 + {number} * 7919 % {keys} END,
        CASE WHEN NOT {by_key} THEN substr(hash, 1, 12) END,
        CASE {number} % 9 WHEN 0 THEN 'POST' WHEN 1 THEN 'PATCH' WHEN 2 THEN 'DELETE' ELSE 'GET' END,
        '/api/v1/resource_' || ({number} * 31 % 40), {number} % 20 <> 7,
        CASE WHEN {number} % 20 = 7 THEN 'missing grants' ELSE 'a rule allows it' END,
        'catalog.csv:' || ({number} % 40), 'p, catalog:read, /api/v1/resource/**, GET|HEAD, allow',
        CASE WHEN {number} % 20 = 7 THEN 'catalog:write' ELSE '' END,
        'revision' || ({number} * 10 / {rows}), 1 + {number} * 104729 % {GRANT_SETS}"""


def first_day(now: datetime) -> int:
    """The time of the first decision, in microseconds since 1970."""
    return int(now.timestamp() * 1_000_000) // DAY * DAY - (DAYS - 1) * DAY


async def fill_postgresql(url: str, *, keys: int, decisions: int, now: datetime) -> None:
    """Upgrade an empty database and fill it, a partition for each day."""
    await upgrade(url)
    engine = open_engine(url)
    start = first_day(now)
    try:
        async with engine.begin() as connection:
            for day in range(-DAYS, 0, AHEAD_DAYS + 1):
                await connection.run_sync(make_ahead, now + timedelta(days=day))
            await connection.execute(
                text(f"""
                INSERT INTO grant_sets (digest, grants, last_seen_on)
                SELECT sha256(i::text::bytea), '["catalog:read","user:' || i || '"]', date '{now:%Y-%m-%d}' - i % 40
                FROM generate_series(1, {GRANT_SETS}) AS i""")
            )
            when = f"timestamptz '{now.isoformat()}' + make_interval(secs => {{0}})"
            values = _keys("i", keys, when, "sha256(convert_to('key ' || i, 'UTF8'))", "'[\"catalog:read\"]'::json")
            await connection.execute(
                text(f"""
                INSERT INTO api_keys ({_KEY_COLUMNS}) SELECT {values}
                FROM generate_series(1::bigint, {keys}) AS i, LATERAL (SELECT md5('k' || i) AS hash) AS hashed""")
            )
        for day in range(DAYS):
            async with engine.begin() as connection:
                low, high = decisions * day // DAYS, decisions * (day + 1) // DAYS
                values = _decisions("i", decisions, keys, start)
                await connection.execute(
                    text(f"""
                    INSERT INTO decisions ({_DECISION_COLUMNS}) SELECT {values}
                    FROM generate_series({low}::bigint, {high - 1}) AS i,
                    LATERAL (SELECT md5('d' || i) AS hash) AS hashed""")
                )
        async with engine.connect() as connection:
            await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(text("VACUUM ANALYZE"))
    finally:
        await engine.dispose()


def fill_sqlite(file: str, *, keys: int, decisions: int, now: datetime) -> None:
    """Upgrade an empty database and fill it; indexes are created at the end, which is faster."""
    asyncio.run(upgrade(f"sqlite:///{file}"))
    start = first_day(now)
    database = sqlite3.connect(file, isolation_level=None)
    database.create_function("md5", 1, lambda words: hashlib.md5(words.encode()).hexdigest(), deterministic=True)
    database.create_function("sha256", 1, lambda words: hashlib.sha256(words.encode()).digest(), deterministic=True)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -400000")
    indexes = database.execute(
        "SELECT name, sql FROM sqlite_master "
        "WHERE type = 'index' AND sql <> '' AND tbl_name IN ('decisions', 'api_keys')"
    ).fetchall()
    for name, _ in indexes:
        database.execute(f"DROP INDEX {name}")
    counted = "WITH RECURSIVE counted(i) AS (SELECT {0} UNION ALL SELECT i + 1 FROM counted WHERE i < {1})"
    database.execute("BEGIN")
    database.execute(
        f"""
        INSERT INTO grant_sets (digest, grants, last_seen_on)
        {counted.format(1, GRANT_SETS)} SELECT sha256(i), '["catalog:read","user:' || i || '"]',
        date('{now:%Y-%m-%d}', '-' || (i % 40) || ' days') FROM counted""".replace("sha256(i)", "sha256('' || i)")
    )
    when = f"strftime('%Y-%m-%d %H:%M:%S.000000', {now.timestamp()} + ({{0}}), 'unixepoch')"
    values = _keys("i", keys, when, "sha256('key ' || i)", "'[\"catalog:read\"]'")
    database.execute(f"""
        INSERT INTO api_keys ({_KEY_COLUMNS}) {counted.format(1, keys)}
        SELECT {values} FROM (SELECT i, md5('k' || i) AS hash FROM counted)""")
    values = _decisions("i", decisions, keys, start)
    database.execute(f"""
        INSERT INTO decisions ({_DECISION_COLUMNS}) {counted.format(0, decisions - 1)}
        SELECT {values} FROM (SELECT i, md5('d' || i) AS hash FROM counted)""")
    database.execute("COMMIT")
    for _, statement in indexes:
        database.execute(statement)
    database.close()


def today() -> datetime:
    """The time of queries: the end of the last day."""
    return datetime.now(UTC).replace(hour=23, minute=59, second=0, microsecond=0)
