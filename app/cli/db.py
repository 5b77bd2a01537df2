"""`authz db`: prepares, backs up and compacts the database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained
from app.settings import load_local

if TYPE_CHECKING:
    from sqlalchemy import Connection


@click.group("db")
def db_group() -> None:
    """Prepare, back up or compact the database at AUTHZ_DATABASE_URL, by default SQLite under .authz/."""


@db_group.command("upgrade")
@explained
def upgrade_command() -> None:
    """Upgrade the database to the schema of this version. Running it again changes nothing.

    With AUTHZ_SAMPLE_API=false a new database gets no tables of the sample API; those of an older database stay.

    On PostgreSQL it also creates the partitions for the decisions of the next days.

    Example: AUTHZ_DATABASE_URL=sqlite:////var/lib/authz/authz.db authz db upgrade
    """
    from app.db.migrate import current_revision, upgrade
    from app.griddy.tables import presence

    settings = load_local()
    url = settings.database_url
    has_unused = False

    def leave_out(connection: Connection, is_new: bool) -> None:
        nonlocal has_unused
        presence.leave_out(connection, is_new)
        has_unused = presence.is_present(connection)

    async def run() -> tuple[str | None, str]:
        return await current_revision(url), await upgrade(url, presence.provide if settings.sample_api else leave_out)

    before, after = asyncio.run(run())
    click.echo(
        f"The schema is at {after}" + ("; nothing to do." if before == after else f", before {before or 'empty'}.")
    )
    if has_unused:
        click.echo("The tables of the sample API stay, since they may have rows. Nothing uses them.")


@db_group.command("backup")
@click.argument("file", type=click.Path(path_type=Path))
@explained
def backup_command(file: Path) -> None:
    """Copy a SQLite database to FILE while servers are running. For PostgreSQL use pg_dump.

    Example: authz db backup /var/backups/authz-2026-11-24.db
    """
    from app.db.backup import backup

    size = backup(load_local().database_url, file)
    click.echo(f"The database is saved in {file}, {size:,} bytes.")


@db_group.command("vacuum")
@explained
def vacuum_command() -> None:
    """Rewrite a SQLite database in its smallest size. From then on it gives the disk the space of deleted decisions.

    A database that this version created does so anyway. Stop the servers first, since nothing can be written meanwhile.
    Twice the size of the data must be free on the disk.

    Example: AUTHZ_DATABASE_URL=sqlite:////var/lib/authz/authz.db authz db vacuum
    """
    from app.db.free_pages import rewrite

    before, after = asyncio.run(rewrite(load_local().database_url))
    click.echo(f"The database has {after:,} bytes, before {before:,}.")
