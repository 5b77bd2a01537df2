"""`authz db`: the database."""

from __future__ import annotations

import asyncio

import rich_click as click

from app.cli.failure import explained
from app.settings import load_local


@click.group("db")
def db_group() -> None:
    """Prepare the database. Its address is AUTHZ_DATABASE_URL, else embedded SQLite under .authz/."""


@db_group.command("upgrade")
@explained
def upgrade_command() -> None:
    """Bring the database to the schema of this version. Running it again changes nothing.

    Example: AUTHZ_DATABASE_URL=sqlite:////var/lib/authz/authz.db authz db upgrade
    """
    from app.db.migrate import current_revision, upgrade

    url = load_local().database_url

    async def run() -> tuple[str | None, str]:
        return await current_revision(url), await upgrade(url)

    before, after = asyncio.run(run())
    click.echo(
        f"The schema is at {after}" + ("; nothing to do." if before == after else f", before {before or 'empty'}.")
    )
