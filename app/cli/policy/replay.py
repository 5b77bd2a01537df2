"""`authz policy replay`: decides logged requests under a candidate policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import rich_click as click

from app.audit.decision_filter import BadFilter, read
from app.cli.database import with_sessions
from app.cli.failure import explained
from app.cli.policy.directory import policy_directory
from app.cli.policy.policy_argument import PolicyArgument, find, snapshot_of
from app.cli.terminal import Styled, console, plural, show, show_json

if TYPE_CHECKING:
    from app.audit.replay import Replay, VerdictChange
    from app.db.session import Sessions
    from app.policy.engine.snapshot import Snapshot

SHOWN = 50
Line = str | Styled | list[str | Styled]


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
    now = datetime.now(UTC)
    try:
        since = read({"since": last}, now).since
    except BadFilter as bad:
        raise click.UsageError(f"--last {bad.errors['since']}") from None
    assert since is not None, "it was given"
    snapshot = snapshot_of(find(new or str(policy_directory(None))), as_json=as_json)
    active = snapshot_of(_active(against), is_old=True, as_json=as_json)
    until = int(now.timestamp() * 1_000_000)
    replay, examples = with_sessions(lambda sessions: _replay(sessions, (snapshot, active), (since, until)))
    if as_json:
        show_json(_document(replay, examples, last))
    else:
        show(_report(replay, examples, last))
    if replay.changes:
        raise SystemExit(1)


def _active(against: str | None) -> PolicyArgument:
    """The active policy: the newest revision, else that of the policy directory."""
    if against is not None:
        return find(against)
    from app.history.entry import newest

    head = with_sessions(newest)
    return find(head.revision if head else str(policy_directory(None)))


async def _replay(
    sessions: Sessions, policies: tuple[Snapshot, Snapshot], times: tuple[int, int]
) -> tuple[Replay, Mapping[int, str]]:
    from app.audit.replay import Replay
    from app.db.replay import SLICES, equal_decisions, request_ids

    replay = Replay(*policies)
    # Progress is printed on standard error, and only on a terminal.
    err = console(stderr=True)
    done = 0
    with err.status("Replaying …") as status:
        async for groups in equal_decisions(sessions, *times):
            replay.add(groups)
            done += 1
            status.update(f"Replaying … {done * 100 // SLICES}%, {sum(replay.counts.values()):,} decisions")
    return replay, await request_ids(sessions, [change.times.last_id for change in replay.changes])


def _report(replay: Replay, examples: Mapping[int, str], last: str) -> Iterator[Line]:
    from app.audit.replay import ReplayOutcome

    counts = replay.counts
    total = sum(counts.values())
    if not total:
        yield f"No decisions since {last}: there is nothing to replay."
        return
    titles = (
        (ReplayOutcome.GAINED, "would be allowed that the active policy denies", "bold red"),
        (ReplayOutcome.LOST, "would be denied that the active policy allows", "yellow"),
    )
    for outcome, title, style in titles:
        changes = [change for change in replay.changes if change.outcome is outcome]
        if not changes:
            continue
        yield [(f"{counts[outcome]:,} {title}:", style)]
        for change in changes[:SHOWN]:
            yield from _change(change, examples)
        if len(changes) > SHOWN:
            yield f"  … and {len(changes) - SHOWN:,} more; --json has all."
        yield ""
    revision, active = replay.snapshot.revision, replay.active.revision
    stay = f"{counts[ReplayOutcome.SAME]:,} stay as they are"
    yield f"{total:,} decisions since {last} under revision {revision}, compared with {active}: {stay}."
    if replay.changed_since:
        yield f"{replay.changed_since:,} were decided otherwise at the time, before earlier changes of the policy."
    if counts[ReplayOutcome.CONDITION]:
        yield f"{counts[ReplayOutcome.CONDITION]:,} depend on a condition, whose context is not logged."
    if counts[ReplayOutcome.UNVERIFIED]:
        yield f"{counts[ReplayOutcome.UNVERIFIED]:,} had bad credentials; no policy changes that."
    if counts[ReplayOutcome.UNKNOWN]:
        yield f"{counts[ReplayOutcome.UNKNOWN]:,} cannot be replayed: what the caller held is not in the log."


def _change(change: VerdictChange, examples: Mapping[int, str]) -> Iterator[Line]:
    key, decision = change.key, change.decision
    who = (key.subject or str(key.method)) + (f" key:{key.key_id}" if key.key_id is not None else "")
    times = plural(change.times.number, "time")
    yield f"  {who}  {key.action} {key.resource}  {times}, last in {examples.get(change.times.last_id, 'none')}"
    if decision.rule is not None:
        yield [(f"    {decision.rule.place}: {decision.rule}", "dim")]
    elif decision.missing:
        yield [(f"    lacks {' '.join(decision.missing)}", "dim")]
    else:
        yield [(f"    {decision.reason}", "dim")]


def _document(replay: Replay, examples: Mapping[int, str], last: str) -> dict[str, object]:
    from app.audit.replay_view import result

    return asdict(result(replay, replay.changes, examples, last))
