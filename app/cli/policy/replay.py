"""`authz policy replay`: decides logged requests under a candidate policy."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click

from app.audit.decision_filter import read_period
from app.cli.database import with_sessions
from app.cli.failure import explained
from app.cli.policy.directory import policy_directory
from app.cli.policy.policy_argument import PolicyArgument, find, snapshot_of
from app.cli.terminal import Line, console, plural, quoted, show, show_view

if TYPE_CHECKING:
    from app.audit.replay_view import ReplayChange, ReplayResult
    from app.db.session import Sessions
    from app.policy.engine.snapshot import Snapshot

SHOWN = 50


@click.command("replay")
@click.argument("new", metavar="[NEW]", required=False)
@click.option("--last", default="7d", show_default=True, metavar="TIME", help="How far back: 7d, 12h or 2026-11-20.")
@click.option(
    "--against",
    metavar="POLICY",
    help="The policy to compare with, named as NEW is; without it the newest revision of the history.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def replay_command(*, new: str | None, last: str, against: str | None, as_json: bool) -> None:
    """Decide the logged requests under the active policy and under NEW, and say who would gain or lose what.

    Only differences between these two are reported. Decisions that were different at the time, because of earlier
    changes of the policy, are only counted.

    NEW is a directory, a revision of the history (4 to 16 hex digits), or the address of a server, of which the
    active policy is read with the token in AUTHZ_TOKEN; without it AUTHZ_POLICY_DIR, else `policies`. The log is that
    of AUTHZ_DATABASE_URL, and so is the active policy: its newest revision, or the policy directory while there is
    none. Exits with 0 when no access changes, with 1 when it does or the policy has a fault, with 2 when the
    policy cannot be read.

    Example: authz policy replay ./candidate --last 7d
    """
    try:
        period = read_period(last, datetime.now(UTC))
    except ValueError as error:
        raise click.UsageError(f"--last {error}") from None
    snapshot = snapshot_of(find(new or str(policy_directory(None))), as_json=as_json)
    active = snapshot_of(_active(against), is_old=True, as_json=as_json)
    found = with_sessions(lambda sessions: _replay(sessions, (snapshot, active), period, last))
    if as_json:
        show_view(found)
    else:
        show(_report(found))
    if found.changes:
        raise SystemExit(1)


def _active(against: str | None) -> PolicyArgument:
    """The active policy: the newest revision, else that of the policy directory."""
    if against is not None:
        return find(against)
    from app.history.entry import newest

    head = with_sessions(newest)
    return find(head.revision if head else str(policy_directory(None)))


async def _replay(
    sessions: Sessions, policies: tuple[Snapshot, Snapshot], times: tuple[int, int], last: str
) -> ReplayResult:
    from app.audit.replay import Replay
    from app.audit.replay_view import ReplayResult
    from app.db.replay import SLICES, replay_steps

    # Progress is printed on standard error, and only on a terminal.
    with console(stderr=True).status("Replaying …") as status:
        async for step in replay_steps(sessions, Replay(*policies), times, last=last, slices=SLICES):
            if isinstance(step, ReplayResult):
                return step
            status.update(f"Replaying … {step.percent}%, {step.decisions:,} decisions")
    raise AssertionError("the result comes last")


def _report(found: ReplayResult) -> Iterator[Line]:
    counts = found.counts
    if not found.decisions:
        yield f"No decisions since {found.last}: there is nothing to replay."
        return
    titles = (
        ("gained", "would be allowed that the active policy denies", "bold red"),
        ("lost", "would be denied that the active policy allows", "yellow"),
    )
    for outcome, title, style in titles:
        changes = [change for change in found.changes if change.change == outcome]
        if not changes:
            continue
        yield [(f"{counts[outcome]:,} {title}:", style)]
        for change in changes[:SHOWN]:
            yield from _change(change)
        if len(changes) > SHOWN:
            yield f"  … and {len(changes) - SHOWN:,} more; --json has all."
        yield ""
    policies = f"under revision {found.revision}, compared with {found.active}"
    yield f"{found.decisions:,} decisions since {found.last} {policies}: {counts['same']:,} stay as they are."
    if found.changed_since:
        yield f"{found.changed_since:,} were decided otherwise at the time, before earlier changes of the policy."
    if counts["condition"]:
        yield f"{counts['condition']:,} depend on a condition, whose context is not logged."
    if counts["unverified"]:
        yield f"{counts['unverified']:,} had bad credentials; no policy changes that."
    if counts["unknown"]:
        yield f"{counts['unknown']:,} cannot be replayed: what the caller held is not in the log."


def _change(change: ReplayChange) -> Iterator[Line]:
    who = (quoted(change.subject) if change.subject else str(change.method)) + (
        f" key:{change.key_id}" if change.key_id is not None else ""
    )
    times = plural(change.count, "time")
    yield f"  {who}  {quoted(change.action)} {quoted(change.route)}  {times}, last in {change.example or 'none'}"
    if change.rule is not None:
        yield [(f"    {change.rule.place}: {change.rule.row}", "dim")]
    elif change.missing:
        yield [(f"    lacks {' '.join(map(quoted, change.missing))}", "dim")]
    else:
        yield [(f"    {change.reason}", "dim")]
