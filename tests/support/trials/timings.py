"""How long changes take until they are obeyed, compared with a bound."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence

_POLL_SECONDS = 0.005
_GIVE_UP_SECONDS = 30.0


class Timings:
    """Prints times, and counts the bounds that were broken.

    On a shared machine a server can be no faster than the machine lets it run, so each line says how long this program
    itself was kept waiting.
    """

    def __init__(self) -> None:
        self.broken = 0
        self._waited = 0.0
        threading.Thread(target=self._wait, daemon=True).start()

    def report(self, what: str, seconds: Sequence[float], bound: float) -> None:
        """Print the times, and record a violation of the bound."""
        if not seconds:
            return
        ordered = sorted(seconds)
        p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        good = ordered[-1] < bound
        self.broken += not good
        times = f"min {ordered[0] * 1000:5.0f}  median {statistics.median(ordered) * 1000:5.0f}  "
        times += f"p99 {p99 * 1000:5.0f}  max {ordered[-1] * 1000:5.0f} ms"
        verdict = "holds" if good else "BROKEN"
        waited = f"this program was kept waiting up to {self._waited * 1000:.0f} ms"
        self._waited = 0.0
        print(f"{what:55} {len(ordered):5} times  {times}  under {bound:.1f} s: {verdict}  ({waited})", flush=True)

    def _wait(self) -> None:
        """Measure how late the machine wakes a sleeping thread."""
        while True:
            started = time.monotonic()
            time.sleep(0.01)
            self._waited = max(self._waited, time.monotonic() - started - 0.01)


def until(check: Callable[[], bool], started: float) -> float:
    """Seconds from `started` until a check becomes true. Raises RuntimeError if it does not."""
    while not check():
        if time.monotonic() - started > _GIVE_UP_SECONDS:
            raise RuntimeError("it was never obeyed")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - started


def last_accepted(is_refused: Callable[[], bool], started: float) -> float:
    """Seconds from `started` until the last request was sent that was still accepted; 0 if none was.

    Other than with `until`, a machine that is too busy to answer at once does not count. Raises RuntimeError.
    """
    seconds = 0.0
    while True:
        sent = time.monotonic() - started
        if is_refused():
            return seconds
        if sent > _GIVE_UP_SECONDS:
            raise RuntimeError("it was never obeyed")
        seconds = sent
        time.sleep(_POLL_SECONDS)
