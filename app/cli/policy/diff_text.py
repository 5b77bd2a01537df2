"""Formats the difference between two policies: each gain and loss with the rows behind it, and the totals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.policy.access_text import change_line
from app.cli.policy.explain_text import row_place
from app.cli.terminal import Line, plural

if TYPE_CHECKING:
    from app.policy.analysis.access_change import AccessChange, AccessDiff, Side
    from app.policy.engine.snapshot import Snapshot


def detail_lines(
    changes: Iterable[AccessChange], places: Mapping[Side, Path], snapshots: Mapping[Side, Snapshot]
) -> Iterator[Line]:
    """Each change, with the rows behind it. `places` are the directories of both policies, as prefixes of files."""
    alike: dict[tuple[object, ...], list[AccessChange]] = {}
    for change in changes:
        alike.setdefault((change.kind, change.who, change.unless, change.rows), []).append(change)
    for group in alike.values():
        for change in group:
            yield change_line(change)
        for behind in group[0].rows:
            row, source = behind.row, snapshots[behind.side].policy.source
            side = "was" if behind.side == "old" else "now"
            place = row_place(row, places[behind.side])
            yield [(f"    {side}  ", "dim"), (place, "bold"), f": {source.line(row.file, row.line).strip()}"]
        yield ""


def unknown_lines(difference: AccessDiff) -> Iterator[Line]:
    """Each endpoint that cannot be compared."""
    for resource, action in difference.unknown:
        yield [("UNKNOWN", "bold red"), f"  {action} {resource}  its rows have too many combinations to compare"]


def totals(difference: AccessDiff) -> str:
    """The numbers of gains and losses, and of endpoints that cannot be compared."""
    gains, losses = (difference.kinds.count(kind) for kind in ("gain", "loss"))
    counts = [plural(gains, "gain"), f"{losses} loss" if losses == 1 else f"{losses} losses"]
    if difference.unknown:
        counts.append(f"{len(difference.unknown)} unknown")
    return ", ".join(counts)
