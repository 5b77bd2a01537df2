"""Compares every query with its plan, in databases with very many keys and decisions."""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db.engine import open_engine
from app.db.session import sessions_of
from tests.support.databases import Postgres
from tests.support.trials.filled_databases import fill_postgresql, fill_sqlite
from tests.support.trials.queries import Query, every_query

_BIG = ("decision_rows", "decision_keys", "decisions", "api_keys")
_OURS = ("SELECT pg_", "BEGIN", "SET ", "LOCK ", "DROP ", "CREATE ", "ALTER ")
_SETTINGS = "SELECT set_config"  # for the statements that follow
_OF_A_PARTITION = " FROM decision_rows_"  # which is dropped next, so that it cannot be explained afterwards
_numbers = count(1)
_OF_SQLITE = 10  # virtual machine instructions that count as a row


@dataclass(slots=True)
class Read:
    """The rows and plans of a query."""

    rows: int = 0
    plans: dict[str, None] = field(default_factory=dict)  # in order
    scanned: bool = False  # a full scan of a big table
    milliseconds: float = 0.0


@contextmanager
def _recorded(engine: AsyncEngine) -> Iterator[list[tuple[str, Any]]]:
    """Record statements with their parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, _context: object, _many: bool) -> None:
        if not statement.startswith(_OURS) and _OF_A_PARTITION not in statement:
            sent.append((statement, parameters))

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def explained(
    url: str, queries: Sequence[Query], *, seqscan: bool, prepared: int = 6
) -> list[tuple[Query, Read]]:
    """Explain each query after `prepared` executions; after five the server may use a generic plan.

    Without `seqscan`, PostgreSQL avoids full scans if it can.
    """
    engine = open_engine(url)
    sessions = sessions_of(engine)
    found = []
    for query in queries:
        with _recorded(engine) as sent:
            await query.ask(sessions)  # first, to fill caches
            sent.clear()
            started = time.perf_counter()
            await query.ask(sessions)
            took = (time.perf_counter() - started) * 1000
        read, settings = Read(milliseconds=took), list[str]()
        for statement, parameters in sent:
            if statement.startswith(_SETTINGS):
                settings.append(statement)
            elif engine.dialect.name == "sqlite":
                _explain_sqlite(str(engine.url.database), statement, parameters, read)
            else:
                async with engine.connect() as connection:
                    if not seqscan:
                        await connection.execute(text("SET LOCAL enable_seqscan = off"))
                    for setting in settings:
                        await connection.exec_driver_sql(setting)
                    await _explain_postgresql(connection, statement, parameters, read, prepared)
                    await connection.rollback()
        found.append((query, read))
    await engine.dispose()
    return found


async def _explain_postgresql(
    connection: AsyncConnection, statement: str, parameters: Any, read: Read, prepared: int
) -> None:
    name = f"query_{next(_numbers)}"  # unique, since the driver caches the result types of statements
    await connection.exec_driver_sql(f"PREPARE {name} AS {statement}")
    given = f"({', '.join(_literal(value) for value in parameters)})" if parameters else ""
    if statement.startswith("SELECT"):
        for _ in range(prepared):
            await connection.exec_driver_sql(f"EXECUTE {name}{given}")
    answer = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name}{given}")
    plan = answer.scalar_one()
    await connection.exec_driver_sql(f"DEALLOCATE {name}")
    _walk((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"], read)


def _literal(value: object) -> str:
    if value is None or isinstance(value, bool | int):
        return "NULL" if value is None else str(value)
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'"
    said = value.isoformat() if hasattr(value, "isoformat") else str(value)
    return "'" + said.replace("'", "''") + "'"


def _walk(node: dict[str, Any], read: Read) -> None:
    kind, table = node["Node Type"], node.get("Relation Name", "")
    if table and not table.startswith("pg_") and "Scan" in kind and node["Actual Loops"]:
        looked = node["Actual Rows"] + sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
        read.rows += round(looked * node["Actual Loops"])
        big = next((name for name in _BIG if table.startswith(name)), None)
        read.scanned = read.scanned or (kind == "Seq Scan" and big is not None and looked > 0)
        read.plans.setdefault(f"{kind} {big or table}".lower())
    elif kind in ("Sort", "Incremental Sort"):
        read.plans.setdefault(kind.lower())
    for child in node.get("Plans", ()):
        _walk(child, read)


def _explain_sqlite(file: str, statement: str, parameters: Any, read: Read) -> None:
    database = sqlite3.connect(file, isolation_level=None)
    database.execute("BEGIN")
    for *_, detail in database.execute(f"EXPLAIN QUERY PLAN {statement}", parameters):
        words = str(detail).split()
        if words[0] in ("SCAN", "SEARCH") and words[1] in _BIG:
            index = (
                ""
                if "USING" not in words
                else " " + words[words.index("USING") + ("COVERING" in words) + 2].removeprefix("ix_")
            )
            read.plans.setdefault(f"{words[0].lower()}{index if index.strip() else ' ' + words[1]}")
            read.scanned = read.scanned or (words[0] == "SCAN" and not index)
        elif "B-TREE" in words:
            read.plans.setdefault("sort")
    steps = 0

    def tick() -> int:
        nonlocal steps
        steps += 1
        return 0

    database.set_progress_handler(tick, 100)
    database.execute(statement, parameters).fetchall()
    database.set_progress_handler(None, 0)
    database.execute("ROLLBACK")
    database.close()
    read.rows += steps * 100 // _OF_SQLITE


def is_within_bound(query: Query, read: Read, *, sqlite: bool, least: int = 0) -> bool:
    """Whether a query read at most its bound, or at most `least` rows."""
    most = max(query.most, least)
    # SQLite gets a margin, since its steps are counted by the hundred and returned rows take more steps.
    return read.rows <= (most * 10 + 100 if sqlite else most) and not (read.scanned and read.rows > query.most)


def print_table(name: str, found: Sequence[tuple[Query, Read]]) -> int:
    """Print a table; return the number of queries that read too much."""
    print(f"\n{name:<58} {'rows read':>10} {'at most':>9} {'ms':>8}  plan")
    wrong = 0
    for query, read in found:
        good = is_within_bound(query, read, sqlite=name == "SQLite")
        wrong += not good
        mark = " " if good else "!"
        figures = f"{read.rows:>10,} {query.most:>9,} {read.milliseconds:>8.1f}"
        print(f"{mark} {query.name:<56} {figures}  {', '.join(read.plans)}")
    return wrong


async def on_postgresql(options: argparse.Namespace, now: datetime) -> list[tuple[Query, Read]]:
    """Fill a database of a new server, and explain the queries."""
    server = Postgres()
    try:
        url = server.new(prepared=False)
        await fill_postgresql(url, keys=options.keys, decisions=options.decisions, now=now)
        queries = every_query(keys=options.keys, decided=options.decisions, now=now)
        return await explained(url, queries, seqscan=not options.no_seqscan)
    finally:
        server.stop()


async def on_sqlite(options: argparse.Namespace, now: datetime, directory: Path) -> list[tuple[Query, Read]]:
    """Fill a file unless it exists, and explain the queries."""
    file = directory / f"{options.keys}-{options.decisions}-{now:%Y%m%d}.db"
    if not file.exists():
        await asyncio.to_thread(fill_sqlite, str(file), keys=options.keys, decisions=options.decisions, now=now)
    queries = every_query(keys=options.keys, decided=options.decisions, now=now)
    return await explained(f"sqlite:///{file}", queries, seqscan=True)
