"""Refuses credentials to a party that acts as a user (RFC 8693 `act`): they would outlive the impersonation."""

from __future__ import annotations

IMPERSONATED = "You act as another user now, so no credentials are issued in their name."


class Impersonated(Exception):
    """Another party acts as the user, and requested a credential that would outlive this."""

    def __init__(self) -> None:
        super().__init__(IMPERSONATED)


def refuse_impersonation(impersonator: str | None) -> None:
    """Raise Impersonated if there is a party that acts as the user."""
    if impersonator is not None:
        raise Impersonated
