"""At the start of a process: what the last one began and did not live to finish is finished, or undone."""

from __future__ import annotations

from pathlib import Path

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.history.files import alone, recover
from app.policy.write import unfinished


async def settle(database_url: str, directory: Path) -> None:
    """Settle an interrupted change of the policy. Raises UnusableDatabase and `write.CannotWrite`."""
    if unfinished(directory) is None:
        return
    engine = open_engine(database_url)
    try:
        async with alone(directory):
            await recover(directory, sessions_of(engine))
    finally:
        await engine.dispose()
