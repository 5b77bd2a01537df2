"""`authz apps`: the registry of third-party apps in the database."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, get_args

import rich_click as click
from rich.table import Table
from rich.text import Text

from app.cli.apps.act import act_on, by_client_id, in_session
from app.cli.failure import confirm, explained
from app.cli.operator import operator
from app.cli.paging import page_options
from app.cli.terminal import printable, quoted, rfc3339, show_table, show_view

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.oauth.app_grants import UserGrant
    from app.oauth.app_view import AppView, AppWithSecret

# As in `app.oauth`; repeated here to avoid an import at the start.
_KINDS = ("registered", "document", "dynamic")
_STATUSES = ("enabled", "disabled")
_OVERLAP_SECONDS = 86_400
_MAX_OVERLAP_SECONDS = 30 * 86_400


@click.group("apps")
def apps_group() -> None:
    """Register and disable third-party apps, which act on behalf of users who allow it.

    Example: authz apps list
    """


@apps_group.command("list")
@click.option("--kind", type=click.Choice(_KINDS), help="Only apps of this kind.")
@click.option("--status", type=click.Choice(_STATUSES), help="Only apps with this status.")
@page_options("Show apps")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
@explained
def list_command(*, kind: str | None, status: str | None, before: int | None, limit: int, as_json: bool) -> None:
    """Show the apps, newest first.

    Example: authz apps list --status disabled
    """
    from app.oauth.app_list import AppFilter, AppStatus, page_of_apps, view_apps
    from app.oauth.client import ClientKind

    chosen_kind: ClientKind | None = next((each for each in get_args(ClientKind) if each == kind), None)
    chosen_status: AppStatus | None = next((each for each in get_args(AppStatus) if each == status), None)
    selected = AppFilter(kind=chosen_kind, status=chosen_status)
    now = datetime.now(UTC)

    async def find(session: AsyncSession) -> list[AppView]:
        rows = await page_of_apps(session, selected, now, before=before, limit=limit)
        return await view_apps(session, rows, now)

    apps = in_session(find)
    if as_json:
        show_view(apps)
        return
    filters = {"kind": kind, "status": status}
    given = "".join(f" --{name} {shlex.quote(value)}" for name, value in filters.items() if value)
    if not apps:
        position = f" before {before}" if before else ""
        click.echo(f"No such apps{position}." if given or before else "No apps yet: `authz apps add` registers one.")
        return
    _print(apps)
    if len(apps) == limit:
        click.echo(f"More: authz apps list{given} --before {apps[-1].id}")


@apps_group.command("add")
@click.argument("name")
@click.option(
    "--redirect", "redirects", multiple=True, required=True, metavar="URI", help="A redirect URI; may be repeated."
)
@click.option("--confidential", is_flag=True, help="It runs on a server and can keep a secret, which it gets.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the app and its secret, as JSON.")
@explained
def add_command(*, name: str, redirects: tuple[str, ...], confidential: bool, as_json: bool) -> None:
    """Register an app. Users read its NAME, of at most 60 characters, when they decide what to allow it.

    A redirect URI is https, http on a loopback host for an app on a device, which may then use any port, or begins with
    a reversed domain name. The secret of a confidential app is printed once.

    Example: authz apps add Scores --redirect https://scores.example/callback --confidential

    An app on a device: authz apps add Scores --redirect http://127.0.0.1/callback
    """
    from app.oauth.app_list import view_app
    from app.oauth.app_order import AppOrder
    from app.oauth.app_view import view_with_secret
    from app.oauth.registry import register_app

    now = datetime.now(UTC)
    order = AppOrder(name, redirects, confidential)

    async def register(session: AsyncSession) -> AppWithSecret:
        new = await register_app(session, order, operator(), now)
        return view_with_secret(await view_app(session, new.app, now), new.plaintext)

    what = "is registered." if confidential else "is registered. Without --confidential it has no secret."
    _show_secret(in_session(register), what, as_json=as_json)


@apps_group.command("grants")
@click.argument("client_id")
@page_options("Show those")
@click.option("--json", "as_json", is_flag=True, help="For programs: one JSON array.")
@explained
def grants_command(*, client_id: str, before: int | None, limit: int, as_json: bool) -> None:
    """Show what users allow an app, newest first.

    Example: authz apps grants app_0a1b2c3d4e5f60718293a4b5
    """
    from app.oauth.app_grants import page_of_user_grants

    grants = by_client_id(
        client_id, lambda session, app_id: page_of_user_grants(session, app_id, before=before, limit=limit)
    )
    if as_json:
        show_view(list(grants))
        return
    if not grants:
        click.echo(f"Nothing before {before}." if before else "No user allows it anything.")
        return
    _print_grants(grants)
    if len(grants) == limit:
        click.echo(printable(f"More: authz apps grants {shlex.quote(client_id)} --before {grants[-1].id}"))


@apps_group.command("rotate")
@click.argument("client_id")
@click.option(
    "--overlap-seconds",
    default=_OVERLAP_SECONDS,
    show_default=True,
    type=click.IntRange(0, _MAX_OVERLAP_SECONDS),
    help="For how long the old secret is accepted, too; 0 ends every old one.",
)
@click.option("--json", "as_json", is_flag=True, help="For programs: the app and its secret, as JSON.")
@explained
def rotate_command(*, client_id: str, overlap_seconds: int, as_json: bool) -> None:
    """Give a confidential app a new secret, which is printed once.

    Example: authz apps rotate app_0a1b2c3d4e5f60718293a4b5

    A secret leaked: authz apps rotate app_0a1b2c3d4e5f60718293a4b5 --overlap-seconds 0
    """
    from app.oauth.app_list import view_app
    from app.oauth.app_view import view_with_secret
    from app.oauth.registry import rotate_secret

    now, by = datetime.now(UTC), operator()

    async def rotate(session: AsyncSession, app_id: int) -> AppWithSecret:
        new = await rotate_secret(session, app_id, by, now, overlap_seconds=overlap_seconds)
        return view_with_secret(await view_app(session, new.app, now), new.plaintext)

    new = by_client_id(client_id, rotate)
    until = new.app.former_secret_until
    old = f"the old one is accepted until {rfc3339(until)}" if until else "no old one is accepted any more"
    _show_secret(new, f"has a new secret; {old}.", as_json=as_json)


@apps_group.command("disable")
@click.argument("client_id")
@click.option("--json", "as_json", is_flag=True, help="For programs: the app, as JSON.")
@explained
def disable_command(*, client_id: str, as_json: bool) -> None:
    """Disable an app: nothing that it was given is accepted any more.

    Running servers refuse it within AUTHZ_KEY_CACHE_SECONDS.

    Example: authz apps disable app_0a1b2c3d4e5f60718293a4b5
    """
    from app.oauth.registry import disable_app

    now, by = datetime.now(UTC), operator()
    app = act_on(client_id, lambda session, app_id: disable_app(session, app_id, by, now), now)
    is_disabled = "is disabled" if app.changed_at == now else "was already disabled,"
    _show(app, f"{is_disabled} since {rfc3339(app.disabled_at)}.", as_json=as_json)


@apps_group.command("enable")
@click.argument("client_id")
@click.option("--json", "as_json", is_flag=True, help="For programs: the app, as JSON.")
@explained
def enable_command(*, client_id: str, as_json: bool) -> None:
    """Enable a disabled app: what users allowed it counts again.

    Example: authz apps enable app_0a1b2c3d4e5f60718293a4b5
    """
    from app.oauth.registry import enable_app

    now, by = datetime.now(UTC), operator()
    app = act_on(client_id, lambda session, app_id: enable_app(session, app_id, by, now), now)
    _show(app, "is enabled." if app.changed_at == now else "was already enabled.", as_json=as_json)


@apps_group.command("remove")
@click.argument("client_id")
@click.option("--yes", is_flag=True, help="Do not ask first.")
@click.option("--json", "as_json", is_flag=True, help="For programs: the app as it was, as JSON.")
@explained
def remove_command(*, client_id: str, yes: bool, as_json: bool) -> None:
    """Delete an app, with everything that users allowed it. `disable` can be undone, and this cannot.

    Example: authz apps remove app_0a1b2c3d4e5f60718293a4b5
    """
    from app.oauth.registry import remove_app

    if not yes:
        confirm(f"Remove the app {quoted(client_id)}? This cannot be undone.")
    now, by = datetime.now(UTC), operator()
    app = act_on(client_id, lambda session, app_id: remove_app(session, app_id, by, now), now)
    _show(app, "is removed.", as_json=as_json)


def _show(app: AppView, what: str, *, as_json: bool) -> None:
    if as_json:
        show_view(app)
    else:
        click.echo(printable(f"App {app.client_id} ({_name(app)}) {what}"))


def _show_secret(new: AppWithSecret, what: str, *, as_json: bool) -> None:
    if as_json:
        show_view(new)
        return
    click.echo(printable(f"App {new.app.client_id} ({_name(new.app)}) {what}"))
    if new.client_secret:
        click.echo(f"Secret: {new.client_secret}")
        click.echo(new.warning)


def _name(app: AppView) -> str:
    return f"“{app.name}”" if quoted(app.name) == app.name else quoted(app.name)


def _print(apps: Sequence[AppView]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "client id", "name", "kind", "host", "secret", "users", "state"):
        # The id of a registered app on one line, so that it can be copied.
        table.add_column(heading, overflow="fold", min_width=28 if heading == "client id" else None)
    for app in apps:
        cells = (str(app.id), app.client_id, quoted(app.name), app.kind, app.host or "-")
        secret, state = "yes" if app.is_confidential else "no", "enabled" if app.is_enabled else "disabled"
        table.add_row(*(Text(cell) for cell in cells), secret, str(app.grants), state)
    show_table(table)


def _print_grants(grants: Sequence[UserGrant]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("id", "user", "scopes", "allowed", "last used"):
        table.add_column(heading, overflow="fold")
    for grant in grants:
        cells = (str(grant.id), quoted(grant.user), " ".join(map(quoted, grant.scopes)))
        table.add_row(*(Text(cell) for cell in cells), rfc3339(grant.changed_at), rfc3339(grant.last_used_at))
    show_table(table)
