"""Statistics of the tables of the decision log for the planner of PostgreSQL, as soon as there are some rows.

Autovacuum gathers them too, but looks once a minute at most, and may be slow or off. Each day has a table of its own.
Without statistics the planner guesses what a condition matches.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.audit.log import BatchNotStored
from app.audit.periodic_task import pause
from app.db.availability import error_name
from app.db.decision_times import DAY_SECONDS
from app.db.slow_statements import run_slowly

EVERY_SECONDS = 5.0
_LONGEST_SECONDS = 60.0  # between two looks, while all that is large has statistics
_MIN_BYTES = 131_072  # of a table: some thousand rows, below which no plan is slow
_TABLES = ["decision_keys", "decision_callers", "decision_targets", "decision_outcomes", "grant_sets"]
_WITHOUT = text(
    "SELECT found.oid::regclass::text FROM pg_class AS found WHERE (found.oid IN "
    "(SELECT to_regclass(name) FROM unnest(CAST(:tables AS text[])) AS name) "
    "OR found.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass('decision_rows'))) "
    "AND pg_relation_size(found.oid) >= :least AND NOT EXISTS (SELECT FROM pg_stats "
    "WHERE schemaname = found.relnamespace::regnamespace::text AND tablename = found.relname)"
)
_log = structlog.stdlib.get_logger("decisions")


async def analyze_new_tables(engine: AsyncEngine) -> Sequence[str]:
    """Analyze the tables of the log that have rows and no statistics; return their names.

    Raises BatchNotStored, or the errors of SQLAlchemy.
    """
    if engine.dialect.name != "postgresql":
        return ()
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        found = list((await connection.execute(_WITHOUT, {"least": _MIN_BYTES, "tables": _TABLES})).scalars())
        if found:
            # Without those that another process analyzes now.
            await run_slowly(connection, f"ANALYZE (SKIP_LOCKED) {', '.join(found)}")
    return found


async def run_statistics(
    engine: AsyncEngine, written: Callable[[], int], stop: asyncio.Event, *, every_seconds: float = EVERY_SECONDS
) -> None:
    """Analyze new tables while this process writes, until `stop`. `written` counts its decisions.

    It looks often when a day begins, which has a table of its own, and otherwise rarely. Failures are logged.
    """
    if engine.dialect.name != "postgresql":
        return
    seen, wait, day = 0, every_seconds, 0
    while not stop.is_set():
        await pause(stop, wait)
        if written() == seen:
            continue
        seen, today = written(), int(time.time() // DAY_SECONDS)
        try:
            is_new = bool(await analyze_new_tables(engine)) or today != day
        except (BatchNotStored, SQLAlchemyError, OSError) as error:
            why = str(error) if isinstance(error, BatchNotStored) else error_name(error)
            _log.warning("a new table of the decision log is not analyzed yet", error=why)
            is_new = True
        wait, day = (every_seconds if is_new else min(2 * wait, _LONGEST_SECONDS)), today
