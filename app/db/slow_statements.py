"""Statements of maintenance on PostgreSQL, which may take longer than those of requests."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.log import BatchNotStored

_SECONDS = 600.0


async def run_slowly(connection: AsyncConnection, statement: str) -> None:
    """Run a statement for at most ten minutes. Raises BatchNotStored."""
    asyncpg = import_module("asyncpg")
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.execute(statement, timeout=_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise BatchNotStored(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}") from error
