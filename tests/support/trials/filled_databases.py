"""Databases with very many generated keys and decisions, filled in SQL, with the same content each time."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.db.compact_ids import compact
from app.db.decision_times import DAY, EPOCH
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.partitions import AHEAD_DAYS, make_ahead

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
# The parts of decision keys: the columns of the table, and those of the key that refers to it.
_PARTS = {
    "caller": "subject, method, key_id, grant_set_id",
    "target": "door, action, resource",
    "outcome": "allowed, reason, rule_place, rule_text, missing, revision",
}


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
        'revision' || ({number} * 10 / {rows}), 1 + {number} % {max(1, keys // KEYS_EACH)} * 104729 % {GRANT_SETS}"""


def _normalised(same: str, digest: str) -> Iterator[str]:
    """Statements that store the decisions of the table `filled`: the parts of keys, keys, and rows.

    `same` compares values that may be NULL, and `digest` makes bytes of a text.
    """
    joined, days = "", f"min(at / {DAY}) AS first_day, max(at / {DAY}) AS last_day"
    for part, columns in _PARTS.items():
        text = " || ',' || ".join(f"coalesce(CAST({column} AS TEXT), '-')" for column in columns.split(", "))
        yield f"""
            INSERT INTO decision_{part}s (digest, first_day, last_day, {columns})
            SELECT {digest.format(text)}, first_day, last_day, {columns}
            FROM (SELECT {days}, {columns} FROM filled GROUP BY {columns}) AS part"""
        equal = " AND ".join(f"{part}.{column} {same} filled.{column}" for column in columns.split(", "))
        joined += f" JOIN decision_{part}s AS {part} ON {equal}"
    ids = "caller.id AS caller_id, target.id AS target_id, outcome.id AS outcome_id"
    yield f"CREATE TABLE numbered AS SELECT filled.*, {ids} FROM filled {joined}"
    yield f"""
        INSERT INTO decision_keys (first_day, last_day, caller_id, target_id, outcome_id)
        SELECT {days}, caller_id, target_id, outcome_id FROM numbered GROUP BY caller_id, target_id, outcome_id"""
    equal = " AND ".join(f"keys.{part}_id = numbered.{part}_id" for part in _PARTS)
    yield f"""
        INSERT INTO decision_rows (decision_key_id, second, microsecond, latency, request_id, token_id)
        SELECT keys.id, at / 1000000 - {EPOCH}, at % 1000000, latency, request_id, token_id
        FROM numbered JOIN decision_keys AS keys ON {equal} ORDER BY at"""
    yield "DROP TABLE filled"
    yield "DROP TABLE numbered"


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
        async with engine.begin() as connection:
            values = _decisions("i", decisions, keys, start)
            await connection.execute(
                text(f"""
                CREATE TABLE filled ({_DECISION_COLUMNS}) AS SELECT {values}
                FROM generate_series(0::bigint, {decisions - 1}) AS i,
                LATERAL (SELECT md5('d' || i) AS hash) AS hashed""")
            )
            await connection.execute(
                text(
                    "ALTER TABLE filled ALTER request_id TYPE bytea USING decode(request_id, 'hex'), "
                    "ALTER token_id TYPE bytea USING convert_to(token_id, 'UTF8')"
                )
            )
            await connection.execute(text("ANALYZE filled"))
            digest = "substr(sha256(convert_to({}, 'UTF8')), 1, 20)"
            for statement in _normalised("IS NOT DISTINCT FROM", digest):
                await connection.execute(text(statement))
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
    database.create_function("compact", 1, lambda words: words and compact(words), deterministic=True)
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA cache_size = -400000")
    indexes = database.execute(
        "SELECT name, sql FROM sqlite_master "
        "WHERE type = 'index' AND sql <> '' AND tbl_name IN ('decision_rows', 'api_keys')"
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
    database.execute(f"CREATE TABLE filled ({_DECISION_COLUMNS})")
    database.execute(f"""
        INSERT INTO filled {counted.format(0, decisions - 1)}
        SELECT {values} FROM (SELECT i, md5('d' || i) AS hash FROM counted)""")
    database.execute("UPDATE filled SET request_id = compact(request_id), token_id = compact(token_id)")
    for statement in _normalised("IS", "substr(sha256({}), 1, 20)"):
        database.execute(statement)
    database.execute("COMMIT")
    for _, statement in indexes:
        database.execute(statement)
    database.close()


def today() -> datetime:
    """The time of queries: the end of the last day."""
    return datetime.now(UTC).replace(hour=23, minute=59, second=0, microsecond=0)
