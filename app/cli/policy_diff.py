"""`authz policy diff`: who gains and who loses which access by a change of policy."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.policy_dir import policy_directory, show_faults
from app.cli.terminal import Styled, plural, show, show_json

if TYPE_CHECKING:
    from app.policy.semantic_diff import Behind, Change, Combination, Difference
    from app.policy.snapshot import Snapshot

Line = str | list[str | Styled]
_STYLES = {"gain": "bold red", "loss": "bold cyan"}
_WORDS = {("gain", False): "GAIN", ("gain", True): "MAY GAIN", ("loss", False): "LOSS", ("loss", True): "MAY LOSE"}


@click.command("diff")
@click.argument("old", metavar="OLD", type=click.Path(path_type=Path))
@click.argument("new", metavar="NEW", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
def diff_command(old: Path, new: Path, as_json: bool) -> None:
    """Say who gains and who loses which access when the policy OLD becomes NEW.

    OLD and NEW are policy directories. What counts is what they mean: order, formatting and comments change nothing.
    Each line is access to an endpoint, gained or lost by whoever states the grants in it, with the rows behind it;
    gains come first. `MAY` stands where a condition decides. NEW must pass `authz policy check`; OLD may
    lack rows for endpoints that are newer than it.

    Exits with 0 when access does not widen, with 1 when it does or when a policy has a fault, with 2 when there is
    no such directory.

    Example: authz policy diff main/policies policies
    """
    from app.policy.semantic_diff import compare

    before = _snapshot(policy_directory(old), is_new=False, as_json=as_json)
    after = _snapshot(policy_directory(new), is_new=True, as_json=as_json)
    difference = compare(before, after)
    directories, snapshots = {"old": old, "new": new}, {"old": before, "new": after}
    if as_json:
        show_json(
            {
                "widens": difference.widens,
                "old": {"directory": str(old), "revision": before.revision},
                "new": {"directory": str(new), "revision": after.revision},
                "changes": [_view(change, directories, snapshots) for change in difference.changes],
                "unknown": [{"resource": resource, "action": action} for resource, action in difference.unknown],
            }
        )
    else:
        show(_report(difference, directories, snapshots))
    if difference.widens:
        raise SystemExit(1)


def _snapshot(directory: Path, *, is_new: bool, as_json: bool) -> Snapshot:
    from app.asgi import route_table
    from app.policy.fault import PolicyRefused
    from app.policy.live import build
    from app.policy.load import load
    from app.policy.snapshot import Snapshot

    try:
        policy = load(directory)
        return build(policy, route_table()) if is_new else Snapshot(policy, route_table())
    except PolicyRefused as refused:
        show_faults(refused.faults, directory, as_json=as_json)
        raise SystemExit(1) from None


def _report(difference: Difference, directories: dict[str, Path], snapshots: dict[str, Snapshot]) -> Iterator[Line]:
    alike: dict[tuple[object, ...], list[Change]] = {}
    for change in difference.changes:
        alike.setdefault((change.kind, change.who, change.unless, change.behind), []).append(change)
    for changes in alike.values():
        for change in changes:
            yield _line(change)
        for behind in changes[0].behind:
            row = behind.row
            side = "was" if behind.side == "old" else "now"
            place = f"{directories[behind.side] / row.file}:{row.line}"
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


def _view(change: Change, directories: dict[str, Path], snapshots: dict[str, Snapshot]) -> dict[str, object]:
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
                "path": str(directories[behind.side] / behind.row.file),
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
