"""Finds the policy directories of a workspace, and the one that a file belongs to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from app.policy.language.file_names import MAX_NESTED, REQUIRED, is_policy_file
from app.policy.language.permissions import FILE as PERMISSIONS

MAX_FOLDERS = 5_000  # that are searched in a workspace
MAX_DEPTH = 8
MAX_DIRECTORIES = 50
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "target", "venv"})


def policy_directories(root: Path) -> Iterator[Path]:
    """The policy directories at and below a folder, within limits. Links are not followed, hidden folders skipped."""
    folders = [(os.path.abspath(root), 0)]  # noqa: PTH100  # pathlib would follow links
    found = 0
    for seen, (folder, depth) in enumerate(folders):
        if seen >= MAX_FOLDERS or found >= MAX_DIRECTORIES:
            return
        try:
            with os.scandir(folder) as entries:
                listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except OSError:
            continue
        if _is_policy({name for name, is_folder in listed if not is_folder}):
            found += 1
            yield Path(folder)
        elif depth < MAX_DEPTH:
            folders += [
                (os.path.join(folder, name), depth + 1)  # noqa: PTH118
                for name, is_folder in sorted(listed)
                if is_folder and not name.startswith(".") and name not in _SKIPPED
            ]


def policy_directory_of(path: Path) -> Path | None:
    """The directory of the policy that a file is a part of, or would be; None if it is not a part of one."""
    for parent in list(path.parents)[: MAX_NESTED + 2]:
        if is_policy_file(path.relative_to(parent).as_posix()) and _is_policy(_names(parent) | {path.name}):
            return parent
    return None


def _names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def _is_policy(names: set[str]) -> bool:
    """Whether these are names of a policy's files: the catalogue, and the model or rows."""
    return PERMISSIONS in names and (names.issuperset(REQUIRED) or any(name.endswith(".csv") for name in names))
