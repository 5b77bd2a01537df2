"""A note in a policy directory: which entry of which history its files hold.

A database that was restored to an earlier state does not know later revisions. Without the note the files of one would
look like an edit when a process starts, and the lost policy would become the newest again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from app.policy.language import write
from app.policy.language.directory import MAX_NOTE_BYTES, STAMP, read_regular

_log = structlog.stdlib.get_logger("policy")


@dataclass(frozen=True, slots=True)
class Stamp:
    """The name of a history, and the entry of it that the files hold. Files of another revision were edited since."""

    history: str
    entry: int
    revision: str


def read_stamp(directory: Path) -> Stamp | None:
    """Read the note of a directory; None if it is missing or unreadable."""
    try:
        stamp = Stamp(**json.loads(read_regular(directory / STAMP, MAX_NOTE_BYTES)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    is_sound = type(stamp.history) is str and type(stamp.entry) is int and type(stamp.revision) is str
    return stamp if is_sound else None


def write_stamp(directory: Path, stamp: Stamp) -> None:
    """Write the note unless it is there. A failure is logged: the directory then counts as one without a note."""
    if read_stamp(directory) == stamp:
        return
    try:
        write.write_note(directory, STAMP, json.dumps(asdict(stamp)).encode())
    except write.PolicyNotWritten as error:
        _log.debug("the policy directory takes no note of what it holds", why=str(error))
