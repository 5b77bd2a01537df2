"""The errors that refuse a change of an API key. Each message is for the owner of the key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NOT_FOUND = "API key not found."


class KeyRefused(Exception):
    """The change of a key is refused, and nothing was changed."""


class NoSuchKey(KeyRefused):
    """There is no such key, or another owner has it: both look the same."""

    def __init__(self, message: str = NOT_FOUND) -> None:
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class OrderFault:
    """What is wrong with one field of a KeyOrder."""

    field: str
    message: str


class InvalidKeyOrder(KeyRefused):
    """No key can be issued as it was ordered."""

    def __init__(self, faults: Sequence[OrderFault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class ScopesNotHeld(KeyRefused):
    """The owner does not hold these scopes, and a key never holds more than its owner."""

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(f"missing {' '.join(scopes)}")
        self.scopes = tuple(scopes)


class KeyConflict(KeyRefused):
    """The keys of the owner are in a state that does not allow the change."""


class NotInOrganization(KeyRefused):
    """The user does not act in the organization whose keys are requested."""

    def __init__(self) -> None:
        super().__init__("You are not signed in to this organization.")


class OwnerBlocked(KeyRefused):
    """An administrator has blocked the owner, or the person who requests a key; they get no further key."""

    def __init__(self) -> None:
        super().__init__("An administrator has blocked you, so you get no API key.")
