"""`authz policy history`, `show`, `publish` and `rollback`: shows revisions, and publishes a policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.database import with_session, with_sessions
from app.cli.failure import explained, fail
from app.cli.operator import operator
from app.cli.paging import page_options
from app.cli.policy.cases_text import entry_lines
from app.cli.policy.directory import issuer_faults, show_faults
from app.cli.policy.publish_text import print_published, print_trial, refuse
from app.cli.policy.stored_revision import stored_revision
from app.cli.terminal import plural, quoted, rfc3339, show, show_view

if TYPE_CHECKING:
    from app.db.session import Sessions
    from app.history.fleet import FleetProgress
    from app.history.publish import PolicyChange, Publisher
    from app.history.published import Published

_REVISION = click.argument("revision", metavar="REVISION")
_WIDENS = click.option("--acknowledge-widening", is_flag=True, help="Publish although access widens.")
_FEWER = click.option(
    "--acknowledge-fewer-publishers",
    is_flag=True,
    help="Publish although no known caller could publish a policy any more.",
)


def _readable(_: click.Context, parameter: click.Parameter, text: str) -> str:
    """Validate a message or a reason. Raises click.BadParameter."""
    from app.history.change_message import message_fault, reason_fault

    is_reason = parameter.name == "accept_failing"
    fault = reason_fault(text) if is_reason and text.strip() else "" if is_reason else message_fault(text)
    if fault:
        raise click.BadParameter(fault)
    return text


_ACCEPT = click.option(
    "--accept-failing",
    metavar="REASON",
    default="",
    callback=_readable,
    help="Publish although cases fail or were removed; the reason is kept with the revision.",
)
_WAIT = click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 30),
    help="Wait at most that long, up to 30 seconds, until every live replica serves it; exit with 1 if one does not.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")


@click.command("history")
@page_options("Entries", limit=20)
@_JSON
@explained
def history_command(before: int | None, limit: int, as_json: bool) -> None:
    """Show the policies that were active, newest first.

    Example: authz policy history --limit 5
    """
    from app.db import revisions
    from app.history.entry_view import entry_view

    rows = with_session(lambda session: revisions.page(session, before=before, limit=limit))
    if as_json:
        show_view([entry_view(row) for row in rows])
        return
    if not rows:
        show(["No policy is stored yet: `authz serve` stores the one that it starts with."])
    for row in rows:
        widens = " (widens access)" if row.widens else ""
        show(
            [
                [
                    (row.revision, "bold"),
                    f"  {rfc3339(row.created_at)}  {row.kind:8}  {quoted(row.author) if row.author else '-'}{widens}",
                ]
            ]
        )
        show([f"    {quoted(row.message)}", *(f"    {line}" for line in entry_lines(row))])
    if len(rows) == limit:
        show([f"More: authz policy history --before {rows[-1].id}"])


@click.command("show")
@_REVISION
@click.option("--out", type=click.Path(path_type=Path), help="Write its files into this directory, a new one.")
@_JSON
@explained
def show_command(revision: str, out: Path | None, as_json: bool) -> None:
    """Show a policy that was active: its author, what changed, and its files.

    At least four first digits of a revision suffice if no other starts with them.

    Example: authz policy show 39745a18c3cd7e46 --out /tmp/then
    """
    from app.db import revisions
    from app.history.entry_view import entry_view

    row = with_session(partial(stored_revision, start=revision))
    files = revisions.files_of(row)
    if out is not None:
        _write(out, files)
    if as_json:
        from app.cli.extended_view import extended
        from app.cli.policy.publish_view import ShownRevision

        show_view(extended(ShownRevision, entry_view(row), files=files))
        return
    show(
        [
            [
                (row.revision, "bold"),
                f"  {rfc3339(row.created_at)}  {row.kind}  {quoted(row.author) if row.author else '-'}",
            ],
            f"  {quoted(row.message)}",
            *(f"  {line}" for line in entry_lines(row)),
            "",
        ]
    )
    show([f"  {change}" for change in row.changes] or ["  No rows were added or removed."])
    show(["", f"{plural(len(files), 'file')}: {', '.join(sorted(files))}" + (f"; written to {out}" if out else "")])


@click.command("publish")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--message", "-m", required=True, callback=_readable, help="Why.")
@_WIDENS
@_FEWER
@_ACCEPT
@click.option("--dry-run", is_flag=True, help="Show what would change, or be refused, and change nothing.")
@_WAIT
@_JSON
@explained
def publish_command(
    *,
    directory: Path,
    message: str,
    acknowledge_widening: bool,
    acknowledge_fewer_publishers: bool,
    accept_failing: str,
    dry_run: bool,
    wait: float | None,
    as_json: bool,
) -> None:
    """Make the policy in DIR the active one.

    It is checked and compared with the active one in AUTHZ_POLICY_DIR, its cases are run, and it is stored as a
    revision, and written there; running servers apply it at once. Exits with 1 when it has faults, when it widens
    access and --acknowledge-widening is not given, when no known caller could publish any more and
    --acknowledge-fewer-publishers is not given, and when a case fails, or one of the active policy was removed, and
    --accept-failing gives no reason. With --dry-run it exits with 1 for the same reasons, and publishes nothing.

    Example: authz policy publish candidate -m 'Scouts read games' --wait 10
    """
    from app.history.acknowledgements import Acknowledgements
    from app.history.publish import PolicyChange
    from app.policy.language.directory import raw_files
    from app.policy.language.fault import PolicyRefused

    try:
        # Read first, since this may be the directory that is about to be written.
        content = raw_files(directory)
    except PolicyRefused as refused:
        show_faults(refused.faults, directory, as_json=as_json)
        raise SystemExit(1) from None

    acknowledged = Acknowledgements(acknowledge_widening, acknowledge_fewer_publishers, accept_failing)
    change = PolicyChange("", operator(), message, acknowledged, dry_run)
    done, waited = _apply(
        change, lambda publisher, based: publisher.publish(content, based), directory, as_json=as_json, wait=wait
    )
    if not dry_run:
        print_published(done, waited, directory, as_json=as_json)
        return
    from app.history.published import refusal_of

    print_trial(done, refusal_of(done, acknowledged), directory, as_json=as_json)


@click.command("rollback")
@_REVISION
@click.option("--message", "-m", default="", callback=_readable, help="Why.")
@_WIDENS
@_FEWER
@_ACCEPT
@_WAIT
@_JSON
@explained
def rollback_command(
    *,
    revision: str,
    message: str,
    acknowledge_widening: bool,
    acknowledge_fewer_publishers: bool,
    accept_failing: str,
    wait: float | None,
    as_json: bool,
) -> None:
    """Make an earlier policy the active one again. It is checked as for `authz policy publish`, its cases too.

    At least four first digits of a revision suffice if no other starts with them.

    Example: authz policy rollback 39745a18c3cd7e46
    """
    from app.history.acknowledgements import Acknowledgements
    from app.history.publish import PolicyChange

    acknowledged = Acknowledgements(acknowledge_widening, acknowledge_fewer_publishers, accept_failing)
    change = PolicyChange("", operator(), message, acknowledged)
    target = with_session(partial(stored_revision, start=revision)).revision
    done, waited = _apply(
        change,
        lambda publisher, based: publisher.rollback(target, based),
        None,
        as_json=as_json,
        wait=wait,
        revision=target,
    )
    print_published(done, waited, None, as_json=as_json)


def _apply(
    change: PolicyChange,
    work: Callable[[Publisher, PolicyChange], Awaitable[Published]],
    directory: Path | None,
    *,
    as_json: bool,
    wait: float | None = None,
    revision: str = "",
) -> tuple[Published, FleetProgress | None]:
    """Apply a change to the active policy, on which it is based; exit with 1 if it is refused."""
    from app import logs
    from app.cli.routes import route_table
    from app.db.engine import is_embedded
    from app.history.acknowledgements import Unacknowledged
    from app.history.fleet import until_served
    from app.history.follower import Follower
    from app.history.publish import Publisher
    from app.history.recovery import settled
    from app.history.refusals import NoSuchRevision, StaleParent
    from app.history.replica import beat_seconds
    from app.policy.engine.live import LivePolicy
    from app.policy.language.fault import PolicyRefused
    from app.settings import load_local

    logs.configure("error", "console")  # on standard error, since standard output may be read by a program

    async def run(sessions: Sessions) -> tuple[Published, FleetProgress | None]:
        settings = load_local()
        async with settled(sessions, settings.policy_dir) as start:
            live = LivePolicy(settings.policy_dir, route_table(), start.files, issuer_faults)
        files_win = is_embedded(settings.database_url)
        follower = Follower(live, sessions, start.seen, files_win=files_win, only_looks=change.dry_run)
        # Outdated files do not count as an edit: the change is based on the newest revision.
        await follower.follow()
        try:
            done = await work(Publisher(follower), replace(change, parent=live.active.revision))
            if wait is None or change.dry_run:
                return done, None
            return done, await until_served(sessions, follower.at, wait, beat_seconds(settings.database_url))
        except PolicyRefused as refused:
            show_faults(refused.faults, directory or Path(revision), as_json=as_json)
        except Unacknowledged as refused:
            refuse(refused, directory, as_json=as_json)
        except NoSuchRevision:
            fail(f"there is no revision {revision}; `authz policy history` lists the existing ones.")
        except StaleParent:
            fail("the policy was changed meanwhile: look at `authz policy history`, and try again.")
        raise SystemExit(1)

    return with_sessions(run)


def _write(out: Path, files: dict[str, str]) -> None:
    try:
        out.mkdir(parents=True)
    except FileExistsError:
        fail(f"{out} exists already: name a new directory.")
    except OSError as error:
        fail(f"{out} cannot be written: {error.strerror}.")
    for name, text in files.items():
        with suppress(FileExistsError):
            (out / name).parent.mkdir(parents=True)
        (out / name).write_text(text, encoding="utf-8", newline="")
