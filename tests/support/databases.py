"""Real databases for tests: SQLite files, and a PostgreSQL server."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

import app.db.migrations
from app.db.engine import open_engine
from tests.support.breakable import BreakablePostgres

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
MIGRATIONS = Path(app.db.migrations.__file__).parent


class Postgres:
    """A PostgreSQL server in a new directory in `place`, which listens on a socket only."""

    def __init__(self, place: Path | None = None, *, settings: Sequence[str] = ()) -> None:
        self._server = BreakablePostgres(place=place, settings=settings)

    @property
    def programs(self) -> Path:
        """The directory of its programs, such as `pg_dump`."""
        return self._server.programs

    def stop(self) -> None:
        """Stop the server and remove its files."""
        self._server.remove()

    def run(self, url: str, statement: str) -> str:
        """The output of `psql` for a statement in one of its databases."""
        psql = [str(self.programs / "psql"), "--no-psqlrc", "--tuples-only", "--command", statement, url]
        return subprocess.run(psql, capture_output=True, text=True, check=True).stdout

    def new(self, *, prepared: bool) -> str:
        """The URL of a new database, empty or as `authz db upgrade` leaves it."""
        return self._server.new(prepared=prepared)

    def drop(self, url: str) -> None:
        """Drop a database, with what is connected to it, before the next one is made."""
        self._server.drop(url)


async def upgrade_to(url: str, revision: str) -> None:
    """Upgrade an empty database to an earlier schema revision."""

    def run(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()
