"""The errors that refuse a change of the registry of apps. Each message is for the person who requested it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NOT_FOUND = "App not found."


class AppRefused(Exception):
    """The change of an app is refused, and nothing was changed."""


class NoSuchApp(AppRefused):
    """There is no such app."""

    def __init__(self, message: str = NOT_FOUND) -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class AppOrderFault:
    """What is wrong with one field of an app."""

    field: str
    message: str


class InvalidAppOrder(AppRefused):
    """No app can be as it was described."""

    def __init__(self, faults: Sequence[AppOrderFault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class AppConflict(AppRefused):
    """The app, or the registry, is in a state that does not allow the change."""
