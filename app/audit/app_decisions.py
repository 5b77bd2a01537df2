"""Counts of decisions by app, for metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

MAX_APPS = 200  # that are counted separately; any app of the world may have a document
OTHER = "other"


class AppDecisions:
    """The numbers of decisions that allowed and that denied requests of apps, since the process started."""

    __slots__ = ("_counts", "_known")

    def __init__(self) -> None:
        self._counts = Counter({(OTHER, True): 0, (OTHER, False): 0})
        self._known: set[str] = set()

    def note(self, client_id: str, *, allowed: bool) -> None:
        """Count a decision about an app."""
        if client_id not in self._known:
            if len(self._known) >= MAX_APPS:
                client_id = OTHER
            else:
                self._known.add(client_id)
        self._counts[client_id, allowed] += 1

    def __iter__(self) -> Iterator[tuple[str, bool, int]]:
        """Each app, a verdict, and how many decisions had it."""
        for (client_id, allowed), count in self._counts.items():
            yield client_id, allowed, count
