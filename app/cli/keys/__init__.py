"""`authz keys`: lists, checks and revokes API keys in the database."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click
from rich.table import Table
from rich.text import Text

from app.cli.database import with_session
from app.cli.failure import confirm, explained, fail
from app.cli.keys.check import check_command
from app.cli.keys.owner_options import ORG, owner_of
from app.cli.operator import operator
from app.cli.paging import page_options
from app.cli.terminal import plural, printable, quoted, rfc3339, show_table, show_view

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.db.tables.keys import ApiKey
    from app.keys.listing import Status
    from app.keys.status import KeyStatus

_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
# As shown, with the status in JSON; repeated here to avoid an import at the start.
_STATUSES: Mapping[str, Status] = {
    "active": "active",
    "unused": "unused",
    "expiring": "expiring",
    "rotated": "superseded",
    "expired": "expired",
    "revoked": "revoked",
}


class _StatusChoice(click.Choice[str]):
    """A status as people read it, or as JSON has it."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return super().convert("rotated" if value == "superseded" else value, param, ctx)


@click.group("keys")
def keys_group() -> None:
    """List, check and revoke API keys. A key itself is never shown: only its prefix is known.

    Example: authz keys list --status expiring
    """


keys_group.add_command(check_command)


@keys_group.command("list")
@click.option("--owner", help="Only keys of this owner.")
@ORG
@click.option("--subject", hidden=True)  # the name of --owner up to 0.2
@click.option("--issued-by", help="Only keys of organizations that this user issued, by its `sub`.")
@click.option("--prefix", help="Only keys with this prefix, as the list shows it.")
@click.option("--status", type=_StatusChoice(_STATUSES), help="Only keys with this status.")
@page_options("Show keys")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
@explained
def list_command(
    *,
    owner: str | None,
    org: str | None,
    subject: str | None,
    issued_by: str | None,
    prefix: str | None,
    status: str | None,
    before: int | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show the keys of all owners, newest first.

    Example: authz keys list --prefix grd_live_5a5a5a5a

    Those with a former prefix: authz keys list --prefix grd_ --status active

    The revoked keys of a user: authz keys list --owner user_2abc --status revoked

    The keys of an organization: authz keys list --org org_2abc
    """
    from app.keys import listing
    from app.keys.listing import KeyFilter, KeyPosition

    if prefix is not None:
        _check_prefix(prefix)
    if owner is not None and subject is not None:
        raise click.UsageError("--subject is another name of --owner: give one of them.")
    owner = owner_of(subject if owner is None else owner, org)
    stored: Status | None = _STATUSES[status] if status is not None else None
    key_filter = KeyFilter(owner, prefix, stored, created_by=issued_by)
    after = KeyPosition(before) if before else None
    now = datetime.now(UTC)
    rows = with_session(lambda session: listing.page(session, key_filter, now=now, after=after, limit=limit))
    if as_json:
        from app.cli.keys.view import listed_key

        show_view([listed_key(row, now) for row in rows])
        return
    filters = {"owner": owner, "issued-by": issued_by, "prefix": prefix, "status": status}
    given = "".join(f" --{name} {shlex.quote(value)}" for name, value in filters.items() if value)
    if not rows:
        position = f" before {before}" if before else ""
        click.echo(f"No such keys{position}." if given or before else "No keys yet: signed-in users issue them.")
        return
    _print(rows)
    if len(rows) == limit:
        click.echo(printable(f"More: authz keys list{given} --before {rows[-1].id}"))


@keys_group.command("revoke")
@click.argument("key", required=False)
@click.option("--owner", help="Revoke all keys of this owner, by its `sub`.")
@click.option("--org", help="Revoke all keys of the organization with this id.")
@click.option("--yes", is_flag=True, help="With --owner or --org: do not ask first.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the key, or how many there were, as JSON.")
@explained
def revoke_command(*, key: str | None, owner: str | None, org: str | None, yes: bool, as_json: bool) -> None:
    """Revoke a key by its id, or all keys of an owner or an organization.

    Running servers refuse it within AUTHZ_KEY_CACHE_SECONDS. With `-` the key itself is read from standard input, so
    that it does not appear in a process list or a shell history.

    Example: authz keys revoke 17

    A leaked key: authz keys revoke - < found.txt

    All keys of a user who leaves: authz keys revoke --owner user_2abc

    All keys of an organization: authz keys revoke --org org_2abc
    """
    from app.keys import api_keys
    from app.keys.revocations import revoke_key

    owner = owner_of(owner, org)
    if (key is None) is (owner is None):
        raise click.UsageError("name one of KEY, --owner and --org.")
    if key is None:
        _revoke_all(owner or "", yes=yes, as_json=as_json)
        return
    given, now = _read_key() if key == "-" else None, datetime.now(UTC)
    if given is None and _ID.fullmatch(key) is None:
        raise click.UsageError(
            "write the id of a key, which `authz keys list` shows, or - to read the key from standard input."
        )

    async def revoke(session: AsyncSession) -> ApiKey | None:
        found = await api_keys.find_by_digest(session, given) if given else None
        await session.rollback()
        key_id = (found.id if found else 0) if given else int(key)
        return await revoke_key(session, key_id, operator(), now)

    row = with_session(revoke)
    if row is None:
        which = "like the given one" if given else key
        fail(f"there is no key {which}; `authz keys list` lists the existing ones.")
    if as_json:
        from app.cli.keys.view import listed_key

        show_view(listed_key(row, now))
    else:
        # The first time of a revocation stays.
        state = f"{'is revoked' if row.revoked_at == now else 'was already revoked,'} since {rfc3339(row.revoked_at)}"
        name = f"“{row.name}”" if quoted(row.name) == row.name else quoted(row.name)
        made = f", issued by {quoted(row.created_by)}," if row.created_by else ""
        click.echo(f"Key {row.id} ({row.key_prefix}…, {name}) of {quoted(row.subject)}{made} {state}.")


def _revoke_all(owner: str, *, yes: bool, as_json: bool) -> None:
    from app.keys.revocations import revoke_keys_of

    if not yes:
        confirm(f"Revoke all API keys of {quoted(owner)}? This cannot be undone.")

    async def revoke(session: AsyncSession) -> int:
        return len([key_id async for key_id in revoke_keys_of(session, owner, operator(), datetime.now(UTC))])

    revoked = with_session(revoke)
    if as_json:
        from app.keys.view import RevokedKeys

        show_view(RevokedKeys(owner, revoked))
    else:
        whose = quoted(owner)
        click.echo(f"{plural(revoked, 'key')} of {whose} revoked." if revoked else f"{whose} has no key to revoke.")


def _check_prefix(prefix: str) -> None:
    """Refuse more of a key than is stored of it."""
    from app.identity.token_format import PUBLIC_PART, current
    from app.settings import load_local

    load_local()  # for the prefix of keys
    # Keys with a former prefix, which may be longer, are found too.
    if len(prefix) > (most := current().longest_public_part) and not PUBLIC_PART.fullmatch(prefix):
        raise click.UsageError(f"--prefix takes {most} characters; `authz keys revoke -` takes a whole key.")


def _read_key() -> bytes:
    """Read a key from standard input, with a prompt on a terminal, and return its digest."""
    from app.identity.api_keys import digest
    from app.identity.token_format import ANY_KEY, current
    from app.settings import load_local

    load_local()  # for the prefix of keys

    given = click.prompt("The key", hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read(1_000)
    key = str(given).strip()
    if ANY_KEY.fullmatch(key) is None:
        example = f"{current().key_start('live')}5a5a…"
        raise click.UsageError(f"the input is not an API key: it must be the whole key, such as {example}.")
    return digest(key)


def _print(rows: Sequence[ApiKey]) -> None:
    from app.keys.status import WORDS

    table = Table(box=None, pad_edge=False)
    for heading in ("id", "key", "name", "owner", "scopes", "last used", "state"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        scopes = " ".join(map(quoted, row.scopes)) or "none"
        cells = (str(row.id), f"{row.key_prefix}…", quoted(row.name), quoted(row.subject), scopes)
        table.add_row(*(Text(cell) for cell in cells), rfc3339(row.last_used_at), WORDS[_state(row)])
    show_table(table)


def _state(row: ApiKey) -> KeyStatus:
    from app.keys.status import status_of

    return status_of(row, datetime.now(UTC))
