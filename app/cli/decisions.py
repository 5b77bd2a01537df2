"""`authz decisions`: shows and exports the decision log from the database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING

import rich_click as click

from app.audit.decision_filter import FILTERS, read
from app.cli.chain import head_command, verify_command
from app.cli.database import with_sessions
from app.cli.failure import explained
from app.cli.filters import filter_options, read_filters
from app.cli.terminal import Styled, quoted, show
from app.identity.org_facts import ORG

if TYPE_CHECKING:
    from app.db.decisions import LoggedRecord
    from app.db.session import Sessions

_POLL_SECONDS = 0.5


@click.group("decisions")
def decisions_group() -> None:
    """Watch, export and verify the decision log: who asked for what, and what was decided.

    Example: authz decisions tail --verdict deny --since 2h
    """


@decisions_group.command("tail")
@click.option("--follow", "-f", is_flag=True, help="Keep printing new decisions, until Ctrl-C.")
@click.option("--lines", "-n", default=20, show_default=True, type=click.IntRange(0, 10_000), help="How many to show.")
@filter_options(FILTERS)
@click.option("--json", "as_json", is_flag=True, help="For programs: a JSON object on each line.")
@explained
def tail_command(follow: bool, lines: int, as_json: bool, **given: str | None) -> None:
    """Show the newest decisions, the newest last.

    Example: authz decisions tail --follow --verdict deny
    """
    filters = read_filters(read, given)

    async def run(sessions: Sessions) -> None:
        from app.db import decisions

        async with sessions() as session:
            last = await decisions.newest_id(session)
            shown = await decisions.page(session, filters, size=lines) if lines else None
        rows: Sequence[LoggedRecord] = [row for row in reversed(shown.rows) if row.id <= last] if shown else []
        _print(rows, as_json)
        if not (rows or follow or as_json):
            click.echo("No decision matches." if any(given.values()) else "There are no decisions yet.")
        while follow:
            async with sessions() as session:
                rows, last = await decisions.following(session, filters, after=last)
            _print(rows, as_json=True)
            if not rows:
                await asyncio.sleep(_POLL_SECONDS)

    try:
        with_sessions(run)
    except KeyboardInterrupt:  # the regular end of --follow
        if not follow:
            raise


@decisions_group.command("export")
@filter_options(FILTERS)
@explained
def export_command(**given: str | None) -> None:
    """Print all decisions as JSON Lines, the oldest first.

    Lines with `dropped` and `deleted` come before them: of decisions that the log lost, and that were deleted since it
    was too large.

    Example: authz decisions export --since 7d --verdict deny > denials.jsonl
    """
    filters = read_filters(read, given)

    async def run(sessions: Sessions) -> None:
        from app.audit.view import deletion_line, drop_line
        from app.db import decision_deletions, decision_drops, decisions

        async with sessions() as session:
            dropped = await decision_drops.between(session, filters.since, filters.until)
            deleted = await decision_deletions.between(session, filters.since, filters.until)
        if dropped:
            lost = sum(window.count for window in dropped)
            click.echo(f"{lost:,} decisions of this time were lost: see the lines with `dropped`.", err=True)
            sys.stdout.buffer.write(b"".join(map(drop_line, dropped)))
        if deleted:
            count = sum(deletion.count for deletion in deleted)
            click.echo(f"{count:,} decisions were deleted by size: see the lines with `deleted`.", err=True)
            sys.stdout.buffer.write(b"".join(map(deletion_line, deleted)))
        async for rows in decisions.everything(sessions, filters):
            _print(rows, as_json=True)

    with_sessions(run)


decisions_group.add_command(head_command)
decisions_group.add_command(verify_command)


def _print(rows: Sequence[LoggedRecord], as_json: bool) -> None:
    if as_json:
        from app.audit.view import json_line

        sys.stdout.buffer.write(b"".join(json_line(row.id, row.record) for row in rows))
        sys.stdout.buffer.flush()
    else:
        show(decision_line(row) for row in rows)


def decision_line(row: LoggedRecord) -> list[str | Styled]:
    """Time, verdict, caller, request, and reason."""
    record, key = row.record, row.record.key
    verdict: Styled = ("allow", "green") if key.allowed else ("deny ", "bold red")
    moment = record.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    who = quoted(key.subject) if key.subject else key.method or "unknown"
    if key.key_id is not None:
        who = f"{who} key:{key.key_id}"
    if (organization := key.organization) is not None and not key.subject.startswith(ORG):
        who = f"{who} in {quoted(organization)}"
    if key.client_id is not None:
        who = f"{who} app:{quoted(key.client_id)}"
    if key.impersonator is not None:
        who = f"{who} acted as by {quoted(key.impersonator)}"
    parts: list[str | Styled] = [
        f"{moment}  ",
        verdict,
        f"  {who:<24}  {quoted(key.action)} {quoted(key.resource) if key.resource else '(no route)'}",
    ]
    if key.missing:
        parts.append((f"  lacks {' '.join(map(quoted, key.missing))}", "yellow"))
    elif key.rule_place is not None:
        parts.append((f"  {key.rule_place}", "dim"))
    if not key.allowed and not key.missing:
        parts.append((f"  {key.reason}", "yellow"))
    if record.times > 1:
        parts.append((f"  {record.times:,} times", "yellow"))
    parts.append((f"  {quoted(record.request_id)}", "dim"))
    return parts
