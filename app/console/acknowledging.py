"""What must be acknowledged to publish or roll back: wider access, a lock-out, failing cases."""

from __future__ import annotations

from collections.abc import Mapping

from app.history.change_message import reason_fault
from app.history.refusals import CasesFail, LosesPublishers, Widens


def accepted_reason(fields: Mapping[str, str]) -> tuple[str, str]:
    """The reason to accept failing cases, empty without one, and its fault."""
    reason = fields.get("accept", "").replace("\r\n", "\n").strip()
    return reason, reason_fault(reason) if reason else ""


def unacknowledged(refused: Widens | LosesPublishers | CasesFail, change: str) -> dict[str, str]:
    """The errors of a form, by field; `change` says what widens access."""
    errors: dict[str, str] = {}
    if isinstance(refused, Widens):
        errors["acknowledge"] = f"{change}: say that it is meant."
    if isinstance(refused, Widens | LosesPublishers) and refused.fewer:
        summary = refused.fewer.summary
        errors["fewer"] = f"{summary[:1].upper()}{summary[1:]}: say that it is meant."
    if refused.cases:
        errors["accept"] = f"{refused.cases.summary}: correct them, or write why this is accepted.".capitalize()
    return errors
