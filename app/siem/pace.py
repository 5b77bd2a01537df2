"""How long a delivery pauses between pages of a backlog, so that the requests of the process have most of its time."""

from __future__ import annotations

import time

RESTED = 3.0  # times as long as the work took
HURRIED = 0.5  # while more records are logged than delivered
LONGEST = 1.0  # so that the lease does not end meanwhile
_MEASURED_SECONDS = 1.0


class Pace:
    """The pauses of a delivery.

    Work takes longer while requests are served, or other processes have the processor, and pauses grow with it. They
    are short only where the log would otherwise grow faster than it is delivered.
    """

    def __init__(self) -> None:
        self._measured_at = time.monotonic()
        self._position = self._newest = 0
        self._is_behind = False

    def is_due(self, now: float) -> bool:
        """Whether `measure` is due, at a time of `time.monotonic`."""
        return now - self._measured_at >= _MEASURED_SECONDS

    def measure(self, position: int, newest: int, now: float) -> None:
        """Compare how many records were delivered and logged since the last measurement."""
        self._is_behind = self._newest > 0 and newest - self._newest > position - self._position
        self._position, self._newest, self._measured_at = position, newest, now

    def pause_after(self, work_seconds: float) -> float:
        """The seconds to pause after work that took so long."""
        return min(work_seconds * (HURRIED if self._is_behind else RESTED), LONGEST)
