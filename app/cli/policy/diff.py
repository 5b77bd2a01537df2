"""`authz policy diff`: reports who gains and who loses access by a change of the policy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained
from app.cli.policy.access_text import MAX_DETAILS, change_line, summary_lines
from app.cli.policy.explain_text import row_place
from app.cli.policy.policy_argument import PolicyArgument, find, snapshot_of
from app.cli.terminal import Line, plural, show, show_view

if TYPE_CHECKING:
    from app.policy.analysis.access_change import AccessChange, AccessDiff, Side
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.diff import FileChange


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--details", is_flag=True, help="Print each endpoint and the rows behind it, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def diff_command(*, old: str, new: str, details: bool, as_json: bool) -> None:
    """Report who gains and who loses access when the policy OLD becomes NEW.

    Each is a directory, a revision of the history in AUTHZ_DATABASE_URL (4 to 16 hex digits), or the address of a
    server, of which the active policy is read with the token in AUTHZ_TOKEN; that needs `policies:read`.

    Only the meaning counts: order, formatting and comments change nothing. The report begins with a summary. Each line
    of the details is access to an endpoint, gained or lost by callers who state the grants in it, with the rows behind
    it; gains come first. `MAY` marks changes that depend on a condition. Details of many endpoints are printed with
    --details, and --json has all. Then come the files that changed, those of cases too.
    NEW must pass `authz policy check`; OLD may lack rows for endpoints that are newer than it.

    Exits with 0 when access does not widen, with 1 when it does or when a policy has a fault, with 2 when one
    of them cannot be read.

    Example: authz policy diff https://authz.example.com policies
    """
    from app.policy.analysis.diff_summary import summarize
    from app.policy.analysis.semantic_diff import compare
    from app.policy.language.diff import changes, file_changes

    arguments: Mapping[Side, PolicyArgument] = {"old": find(old), "new": find(new)}
    before = snapshot_of(arguments["old"], is_old=True, as_json=as_json)
    after = snapshot_of(arguments["new"], as_json=as_json)
    difference = compare(before, after)
    snapshots: Mapping[Side, Snapshot] = {"old": before, "new": after}
    entries = changes(before.policy, after.policy)
    files = file_changes(before.policy, after.policy, entries)
    if as_json:
        from app.cli.policy.diff_view import ComparedPolicy, PolicyDiff, change_summary, diff_change
        from app.policy.language.endpoint import Endpoint

        show_view(
            PolicyDiff(
                widens=difference.widens,
                summary=[change_summary(headline) for headline in summarize(difference)],
                old=ComparedPolicy(**arguments["old"].view, revision=before.revision),
                new=ComparedPolicy(**arguments["new"].view, revision=after.revision),
                changes=[diff_change(change, snapshots, _plain(change_line(change))) for change in difference.changes],
                unknown=[Endpoint(action, resource) for resource, action in difference.unknown],
                files=list(files),
                entries=list(entries),
            )
        )
    else:
        show(_report(difference, files, arguments, snapshots, details=details))
    if difference.widens:
        raise SystemExit(1)


def _report(
    difference: AccessDiff,
    files: Sequence[FileChange],
    arguments: Mapping[Side, PolicyArgument],
    snapshots: Mapping[Side, Snapshot],
    *,
    details: bool,
) -> Iterator[Line]:
    yield from summary_lines(difference, every=details)
    if details or len(difference.changes) <= MAX_DETAILS:
        yield from _details(difference, arguments, snapshots)
    if files:
        yield "Files:"
        yield from (f"  {file.name}  {file}" for file in files)
        yield ""
    gains, losses = (difference.kinds.count(kind) for kind in ("gain", "loss"))
    if difference.is_empty:
        yield [("Nothing changes", "bold green"), ": both policies decide alike."]
        return
    counts = [plural(gains, "gain"), f"{losses} loss" if losses == 1 else f"{losses} losses"]
    if difference.unknown:
        counts.append(f"{len(difference.unknown)} unknown")
    verdict = ("access widens", "bold red") if difference.widens else ("access does not widen", "bold green")
    hint = "" if details or len(difference.changes) <= MAX_DETAILS else " --details shows each."
    yield [f"{', '.join(counts)}: ", verdict, f".{hint}"]


def _details(
    difference: AccessDiff, arguments: Mapping[Side, PolicyArgument], snapshots: Mapping[Side, Snapshot]
) -> Iterator[Line]:
    alike: dict[tuple[object, ...], list[AccessChange]] = {}
    for change in difference.changes:
        alike.setdefault((change.kind, change.who, change.unless, change.rows), []).append(change)
    for group in alike.values():
        for change in group:
            yield change_line(change)
        for behind in group[0].rows:
            row, source = behind.row, snapshots[behind.side].policy.source
            side = "was" if behind.side == "old" else "now"
            place = row_place(row, arguments[behind.side].place)
            yield [(f"    {side}  ", "dim"), (place, "bold"), f": {source.line(row.file, row.line).strip()}"]
        yield ""
    for resource, action in difference.unknown:
        yield [("UNKNOWN", "bold red"), f"  {action} {resource}  its rows have too many combinations to compare"]


def _plain(line: Line) -> str:
    """A line without its styles."""
    return "".join(part if isinstance(part, str) else part[0] for part in line)
