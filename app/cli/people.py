"""`authz people`: blocks a person, and unblocks them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click
from rich.table import Table
from rich.text import Text

from app.cli.failure import explained
from app.cli.operator import operator
from app.cli.paging import page_options
from app.cli.terminal import plural, quoted, rfc3339, show_table, show_view

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.oauth.blocked_people import PersonBlock
    from app.oauth.people_blocks import BlockedPerson


@click.group("people")
def people_group() -> None:
    """Block a person, who then has no access by apps, keys or the console.

    Example: authz people block user_leaver
    """


@people_group.command("block")
@click.argument("sub")
@click.option("--json", "as_json", is_flag=True, help="For programs: what was ended, as JSON.")
@explained
def block_command(sub: str, *, as_json: bool) -> None:
    """End what a person allowed apps, their keys and their console sessions, and refuse new ones. SUB names the person.

    Running servers obey within AUTHZ_KEY_CACHE_SECONDS. A token that the issuer signed is accepted until it expires:
    disable the person there first.

    Example: authz people block user_leaver
    """
    from app.cli.database import with_session
    from app.oauth.blocked_people import is_known
    from app.oauth.people_blocks import block_person

    _check(sub)

    async def block(session: AsyncSession) -> tuple[BlockedPerson, bool]:
        return await block_person(session, sub, operator(), datetime.now(UTC)), await is_known(session, sub)

    blocked, known = with_session(block)
    if as_json:
        show_view(blocked)
        return
    consents = "1 consent to an app" if blocked.apps == 1 else f"{blocked.apps} consents to apps"
    keys, sessions = plural(blocked.keys, "key"), plural(blocked.sessions, "console session")
    ended = f"{consents}, {keys} and {sessions} ended"
    is_blocked = "was already blocked," if blocked.was_blocked else "is blocked"
    click.echo(f"{quoted(sub)} {is_blocked} since {rfc3339(blocked.blocked_at)}; {ended}.")
    if not known:
        click.echo("No user with this `sub` has signed in to the console or had a key: check its spelling.")


@people_group.command("list")
@page_options("Show those")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
@explained
def list_command(*, before: int | None, limit: int, as_json: bool) -> None:
    """Show who is blocked, with the last sign-in to the console.

    Example: authz people list
    """
    from app.cli.database import with_session
    from app.oauth.blocked_people import page_of_blocks

    blocks = with_session(lambda session: page_of_blocks(session, before=before, limit=limit))
    if as_json:
        show_view(list(blocks))
        return
    if not blocks:
        click.echo(f"Nothing before {before}." if before else "No person is blocked.")
        return
    _print(blocks)
    if len(blocks) == limit:
        click.echo(f"More: authz people list --before {blocks[-1].id}")


@people_group.command("unblock")
@click.argument("sub")
@click.option("--json", "as_json", is_flag=True, help="For programs: the person, as JSON.")
@explained
def unblock_command(sub: str, *, as_json: bool) -> None:
    """Let a person sign in to the console and allow apps again. What the block ended stays ended.

    Example: authz people unblock user_leaver
    """
    from app.cli.database import with_session
    from app.oauth.people_blocks import unblock_person

    _check(sub)
    unblocked = with_session(lambda session: unblock_person(session, sub, operator(), datetime.now(UTC)))
    if as_json:
        show_view(unblocked)
    elif unblocked.was_blocked:
        click.echo(f"{quoted(sub)} is not blocked any more.")
    else:
        click.echo(f"{quoted(sub)} was not blocked.")


def _check(sub: str) -> None:
    from app.oauth.people_blocks import subject_fault

    if fault := subject_fault(sub):
        raise click.UsageError(fault)


def _print(blocks: Sequence[PersonBlock]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "user", "blocked", "last sign-in"):
        table.add_column(heading, overflow="fold")
    for block in blocks:
        cells = (str(block.id), quoted(block.subject), rfc3339(block.blocked_at), rfc3339(block.signed_in_at))
        table.add_row(*map(Text, cells))
    show_table(table)
