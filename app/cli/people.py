"""`authz people`: blocks a person, and unblocks them."""

from __future__ import annotations

from datetime import UTC, datetime

import rich_click as click

from app.cli.failure import explained
from app.cli.operator import operator
from app.cli.terminal import plural, quoted, rfc3339, show_view


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
    from app.oauth.people_blocks import block_person

    _check(sub)
    blocked = with_session(lambda session: block_person(session, sub, operator(), datetime.now(UTC)))
    if as_json:
        show_view(blocked)
        return
    consents = "1 consent to an app" if blocked.apps == 1 else f"{blocked.apps} consents to apps"
    keys, sessions = plural(blocked.keys, "key"), plural(blocked.sessions, "console session")
    ended = f"{consents}, {keys} and {sessions} ended"
    click.echo(f"{quoted(sub)} is blocked since {rfc3339(blocked.blocked_at)}; {ended}.")


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
    else:
        click.echo(f"{quoted(sub)} is not blocked.")


def _check(sub: str) -> None:
    from app.oauth.people_blocks import subject_fault

    if fault := subject_fault(sub):
        raise click.UsageError(fault)
