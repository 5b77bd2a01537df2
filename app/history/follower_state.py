"""The states of a `Follower`: where a process stands in the history of policies.

In each, `head` is the newest entry that is known, `at` the entry whose policy was taken over last, and `failure` why a
newer one was not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from app.history.entry import HistoryEntry
from app.policy.engine.live import LoadFailure


@dataclass(frozen=True, slots=True)
class Unread:
    """The history has not been read yet."""

    head: ClassVar[HistoryEntry | None] = None
    at: ClassVar[HistoryEntry | None] = None
    failure: ClassVar[LoadFailure | None] = None


@dataclass(frozen=True, slots=True)
class Unplaced:
    """The history was read, and the active policy is not an entry of it: it will be stored or replaced."""

    head: ClassVar[HistoryEntry | None] = None
    at: ClassVar[HistoryEntry | None] = None
    failure: ClassVar[LoadFailure | None] = None


@dataclass(frozen=True, slots=True)
class Current:
    """The newest entry was taken over."""

    at: HistoryEntry
    failure: ClassVar[LoadFailure | None] = None

    @property
    def head(self) -> HistoryEntry:
        """The newest entry."""
        return self.at


@dataclass(frozen=True, slots=True)
class Behind:
    """A newer entry is known, and is still to be loaded. `failure` is that of an earlier one."""

    head: HistoryEntry
    at: HistoryEntry | None
    failure: LoadFailure | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The newest entry cannot be loaded here. It is not tried again: only another entry ends this state."""

    head: HistoryEntry
    at: HistoryEntry | None
    failure: LoadFailure


@dataclass(frozen=True, slots=True)
class Empty:
    """The history has no entry. With `at` it had one, and may be about to be restored."""

    at: HistoryEntry | None
    failure: LoadFailure | None
    head: ClassVar[HistoryEntry | None] = None


FollowerState = Unread | Unplaced | Current | Behind | Refused | Empty
