"""What must be acknowledged to publish or roll back: wider access, a lock-out, failing cases."""

from __future__ import annotations

from collections.abc import Mapping

from app.history.acknowledgements import Acknowledgements, Unacknowledged
from app.history.change_message import reason_fault


def acknowledgements_of(fields: Mapping[str, str]) -> tuple[Acknowledgements, str]:
    """What the fields of a form acknowledge, and the fault of the reason to accept failing cases; empty without one."""
    reason = fields.get("accept", "").replace("\r\n", "\n").strip()
    given = Acknowledgements(fields.get("acknowledge") == "yes", fields.get("fewer") == "yes", reason)
    return given, reason_fault(reason) if reason else ""


def unacknowledged(refused: Unacknowledged, change: str) -> dict[str, str]:
    """The errors of a form, by field; `change` says what widens access."""
    errors: dict[str, str] = {}
    if refused.widens:
        errors["acknowledge"] = f"{change}: say that it is meant."
    if refused.fewer:
        summary = refused.fewer.summary
        errors["fewer"] = f"{summary[:1].upper()}{summary[1:]}: say that it is meant."
    if refused.cases:
        errors["accept"] = f"{refused.cases.summary}: correct them, or write why this is accepted.".capitalize()
    return errors
