"""The errors that refuse a publication."""

from __future__ import annotations


class StaleParent(Exception):
    """The change is not based on the active policy."""

    def __init__(self, active: str) -> None:
        super().__init__(f"the active policy is {active}")
        self.active = active


class NoSuchRevision(Exception):
    """The history has no such revision."""
