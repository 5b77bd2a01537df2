"""`authz audit`: shows the admin log from the database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click

from app.audit.admin_log import ADMIN_FILTERS, AdminActionView, AdminFilter, read_admin_filter
from app.cli.database import with_sessions
from app.cli.failure import explained
from app.cli.filters import filter_options, read_filters
from app.cli.terminal import Styled, quoted, show

if TYPE_CHECKING:
    from app.db.session import Sessions

_POLL_SECONDS = 0.5
_PAGE = 500
# On PostgreSQL a transaction may commit after one with a higher id, so the last ids are read again.
_OVERLAP = 200


@click.command("audit")
@click.option("--follow", "-f", is_flag=True, help="Keep printing new actions, until Ctrl-C.")
@click.option("--lines", "-n", default=20, show_default=True, type=click.IntRange(0, 10_000), help="How many to show.")
@click.option(
    "--before", type=click.IntRange(1, 2**63 - 1), help="Show actions with ids below this one: the previous page."
)
@filter_options(ADMIN_FILTERS)
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON object on each line.")
@explained
def audit_command(*, follow: bool, lines: int, before: int | None, as_json: bool, **given: str | None) -> None:
    """Show administrative actions by any door, the newest last.

    Example: authz audit --action key.revoke --since 7d

    The actions on a key: authz audit --target key:17
    """
    if follow and before is not None:
        raise click.UsageError("name one of --follow and --before.")
    filters = read_filters(read_admin_filter, given)

    async def run(sessions: Sessions) -> None:
        from app.db import admin_actions

        async with sessions() as session:
            last = await admin_actions.newest_id(session)
            recent = await admin_actions.following(session, filters, after=last - _OVERLAP, limit=_PAGE)
            rows = await admin_actions.page(session, filters, before=before, limit=lines + 1)
        shown = rows[:lines]
        _print(reversed(shown), as_json)
        if not (as_json or follow):
            if not shown and lines:
                is_filtered = before is not None or any(given.values())
                click.echo(
                    "No action matches."
                    if is_filtered
                    else "No actions yet: a policy that is published, or a key that is issued, appears here at once."
                )
            elif len(rows) > len(shown) > 0:
                click.echo(f"Older actions: the same command with --before {shown[-1].id}")
        if follow:
            await _follow(sessions, filters, last, {row.id for row in recent if row.id <= last}, as_json)

    try:
        with_sessions(run)
    except KeyboardInterrupt:  # the regular end of --follow
        if not follow:
            raise


async def _follow(sessions: Sessions, filters: AdminFilter, last: int, printed: set[int], as_json: bool) -> None:
    """Print each action above the id `last` once, and those below it that are committed later."""
    from app.db import admin_actions

    while True:
        async with sessions() as session:
            rows = await admin_actions.following(session, filters, after=last - _OVERLAP, limit=_PAGE)
        new = [row for row in rows if row.id not in printed]
        _print(new, as_json)
        last = max((last, *(row.id for row in new)))
        printed = {number for number in (*printed, *(row.id for row in new)) if number > last - _OVERLAP}
        if len(rows) < _PAGE:
            await asyncio.sleep(_POLL_SECONDS)


def _print(rows: Iterable[AdminActionView], as_json: bool) -> None:
    if as_json:
        for row in rows:
            # In ASCII like all documents of commands, so that no terminal interprets it.
            click.echo(json.dumps({**asdict(row), "time": _time(row.time, "microseconds")}))
    else:
        show(_line(row) for row in rows)


def _line(row: AdminActionView) -> list[str | Styled]:
    """Time, action, target, actor with door, and message."""
    who = quoted(row.actor) if row.actor else "(not known)"
    if row.key_id is not None:
        who = f"{who} key:{row.key_id}"
    if row.client_id is not None:
        who = f"{who} app:{quoted(row.client_id)}"
    if row.impersonator is not None:
        who = f"{who} acted as by {quoted(row.impersonator)}"
    parts: list[str | Styled] = [
        f"{row.id:>6}  {_time(row.time, 'seconds')}  ",
        (f"{row.action:<22}", "bold"),
        f"  {quoted(row.target)}  by {who}",
        (f" ({row.door})" if row.door else "", "dim"),
    ]
    if row.message:
        parts.append(f"  {quoted(row.message)}")
    if row.request_id:
        parts.append((f"  {quoted(row.request_id)}", "dim"))
    return parts


def _time(moment: datetime, timespec: str) -> str:
    return moment.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
