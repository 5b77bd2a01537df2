"""Two policies and their difference: what callers gain and lose, and which files changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.policy.analysis.access_change import AccessDiff, Side
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.diff import EntryChange, FileChange


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between two policies. `places` are their directories, as prefixes of the names of files."""

    difference: AccessDiff
    entries: tuple[EntryChange, ...]
    files: tuple[FileChange, ...]
    snapshots: Mapping[Side, Snapshot]
    places: Mapping[Side, Path]


def compare_policies(before: Snapshot, after: Snapshot, old_place: Path, new_place: Path) -> Comparison:
    """Compare two policies."""
    from app.policy.analysis.semantic_diff import compare
    from app.policy.language.diff import changes, file_changes

    entries = changes(before.policy, after.policy)
    return Comparison(
        compare(before, after),
        entries,
        file_changes(before.policy, after.policy, entries),
        {"old": before, "new": after},
        {"old": old_place, "new": new_place},
    )
