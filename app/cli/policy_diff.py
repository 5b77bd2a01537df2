"""`authz policy diff`: who gains and who loses which access by a change of policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained
from app.cli.policy_named import Named, find, snapshot_of
from app.cli.terminal import Styled, plural, show, show_json

if TYPE_CHECKING:
    from app.policy.semantic_diff import Behind, Change, Combination, Difference
    from app.policy.snapshot import Snapshot

Line = str | list[str | Styled]
_STYLES = {"gain": "bold red", "loss": "bold cyan"}
_WORDS = {("gain", False): "GAIN", ("gain", True): "MAY GAIN", ("loss", False): "LOSS", ("loss", True): "MAY LOSE"}


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def diff_command(old: str, new: str, as_json: bool) -> None:
    """Say who gains and who loses which access when the policy OLD becomes NEW.

    Each is a directory, a revision of the history in AUTHZ_DATABASE_URL (4 to 16 hex digits), or the address of a
    server, of which the active policy is read with the token in AUTHZ_TOKEN; that needs `policies:read`.

    What counts is what they mean: order, formatting and comments change nothing.
    Each line is access to an endpoint, gained or lost by whoever states the grants in it, with the rows behind it;
    gains come first. `MAY` stands where a condition decides. NEW must pass `authz policy check`; OLD may
    lack rows for endpoints that are newer than it.

    Exits with 0 when access does not widen, with 1 when it does or when a policy has a fault, with 2 when one
    of them cannot be had.

    Example: authz policy diff https://authz.example.com policies
    """
    from app.policy.semantic_diff import compare

    named = {"old": find(old), "new": find(new)}
    before = snapshot_of(named["old"], is_old=True, as_json=as_json)
    after = snapshot_of(named["new"], as_json=as_json)
    difference = compare(before, after)
    snapshots = {"old": before, "new": after}
    if as_json:
        show_json(
            {
                "widens": difference.widens,
                "old": {**named["old"].view, "revision": before.revision},
                "new": {**named["new"].view, "revision": after.revision},
                "changes": [_view(change, named, snapshots) for change in difference.changes],
                "unknown": [{"resource": resource, "action": action} for resource, action in difference.unknown],
            }
        )
    else:
        show(_report(difference, named, snapshots))
    if difference.widens:
        raise SystemExit(1)


def _report(difference: Difference, named: dict[str, Named], snapshots: dict[str, Snapshot]) -> Iterator[Line]:
    alike: dict[tuple[object, ...], list[Change]] = {}
    for change in difference.changes:
        alike.setdefault((change.kind, change.who, change.unless, change.behind), []).append(change)
    for changes in alike.values():
        for change in changes:
            yield _line(change)
        for behind in changes[0].behind:
            row = behind.row
            side = "was" if behind.side == "old" else "now"
            place = f"{named[behind.side].place / row.file}:{row.line}"
            yield [(f"    {side}  ", "dim"), (place, "bold"), f": {_row_text(behind, snapshots)}"]
        yield ""
    for resource, action in difference.unknown:
        yield [("UNKNOWN", "bold red"), f"  {action} {resource}  its rows have too many combinations to compare"]
    gains = sum(change.kind == "gain" for change in difference.changes)
    losses = len(difference.changes) - gains
    if not difference.changes and not difference.unknown:
        yield [("Nothing changes", "bold green"), ": both policies decide alike."]
        return
    counts = [plural(gains, "gain"), f"{losses} loss" if losses == 1 else f"{losses} losses"]
    if difference.unknown:
        counts.append(f"{len(difference.unknown)} unknown")
    verdict = ("access widens", "bold red") if difference.widens else ("access does not widen", "bold green")
    yield [f"{', '.join(counts)}: ", verdict, "."]


def _row_text(behind: Behind, snapshots: dict[str, Snapshot]) -> str:
    """The line as it stands: a row, or the entity that has a permission."""
    return snapshots[behind.side].policy.source.line(behind.row.file, behind.row.line).strip()


def _line(change: Change) -> Line:
    from app.policy.change_words import told

    return [(_WORDS[change.kind, change.may], _STYLES[change.kind]), f"  {told(change)}"]


def _view(change: Change, named: dict[str, Named], snapshots: dict[str, Snapshot]) -> dict[str, object]:
    return {
        "change": change.kind,
        "may": change.may,
        "resource": change.resource,
        "actions": list(change.actions),
        **_combination_view(change.who),
        "unless": [_combination_view(combination) for combination in change.unless],
        "rows": [
            {
                "policy": behind.side,
                "path": str(named[behind.side].place / behind.row.file),
                "line": behind.row.line,
                "row": _row_text(behind, snapshots),
            }
            for behind in change.behind
        ],
        "text": "".join(part if isinstance(part, str) else part[0] for part in _line(change)),
    }


def _combination_view(combination: Combination) -> dict[str, object]:
    return {
        "holds": [list(group) for group in combination.holds],
        "met": [when.text for when in combination.met],
        "met_or_failing": [when.text for when in combination.not_unmet],
    }
