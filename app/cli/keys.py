"""`authz keys`: everybody's API keys, for operators at the database."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import rich_click as click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.cli.database import with_sessions
from app.cli.failure import explained, fail

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.db.session import Sessions
    from app.db.tables.keys import ApiKey

_R = TypeVar("_R")


@click.group("keys")
def keys_group() -> None:
    """List and revoke API keys. A key itself is never shown: only its prefix is known."""


@keys_group.command("list")
@click.option("--before", type=click.IntRange(1), help="Show keys with ids below this one: the next page.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
@explained
def list_command(before: int | None, limit: int, as_json: bool) -> None:
    """Show the keys of all people, newest first.

    Example: authz keys list --limit 20
    """
    from app.db import api_keys

    rows = _with_session(lambda session: api_keys.list_all(session, before=before, limit=limit))
    if as_json:
        click.echo(json.dumps([_plain(row) for row in rows], indent=2))
        return
    if not rows:
        click.echo("No keys" + (f" before {before}." if before else " yet: a signed-in person issues them."))
        return
    _print(rows)
    if len(rows) == limit:
        click.echo(f"More: authz keys list --before {rows[-1].id}")


@keys_group.command("revoke")
@click.argument("key_id", type=click.IntRange(1))
@click.option("--json", "as_json", is_flag=True, help="For programs: the key as JSON.")
@explained
def revoke_command(key_id: int, as_json: bool) -> None:
    """Revoke a key by its id, whoever owns it. Running servers obey within AUTHZ_KEY_CACHE_SECONDS.

    Example: authz keys revoke 17
    """
    from app.db import api_keys

    async def revoke(session: AsyncSession) -> ApiKey | None:
        row = await api_keys.revoke_any(session, key_id, datetime.now(UTC))
        await session.commit()
        return row

    row = _with_session(revoke)
    if row is None:
        fail(f"there is no key {key_id}; `authz keys list` shows those that there are.")
    if as_json:
        click.echo(json.dumps(_plain(row), indent=2))
    else:
        click.echo(
            f"Key {row.id} ({row.key_prefix}…, “{row.name}”) of {row.subject} is revoked since {_time(row.revoked_at)}."
        )


def _with_session(work: Callable[[AsyncSession], Awaitable[_R]]) -> _R:
    async def run(sessions: Sessions) -> _R:
        async with sessions() as session:
            return await work(session)

    return with_sessions(run)


def _print(rows: Sequence[ApiKey]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "key", "name", "owner", "scopes", "last used", "state"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        cells = (str(row.id), f"{row.key_prefix}…", row.name, row.subject, " ".join(row.scopes) or "none")
        table.add_row(*(Text(cell) for cell in cells), _time(row.last_used_at) or "never", _state(row))
    Console().print(table)


def _state(row: ApiKey) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
        return "expired"
    return "active"


def _plain(row: ApiKey) -> dict[str, object]:
    return {
        "id": row.id,
        "subject": row.subject,
        "name": row.name,
        "environment": row.environment,
        "key_prefix": row.key_prefix,
        "scopes": row.scopes,
        "created_at": _time(row.created_at),
        "last_used_at": _time(row.last_used_at),
        "expires_at": _time(row.expires_at),
        "revoked_at": _time(row.revoked_at),
        "state": _state(row),
    }


def _time(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
