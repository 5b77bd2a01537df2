"""What must be acknowledged to publish or roll back: wider access, a lock-out, failing cases."""

from __future__ import annotations

from collections.abc import Mapping

from app.history.acknowledgements import Acknowledgements, Unacknowledged
from app.history.change_message import reason_fault
from app.history.published_view import sentence


def acknowledgements_of(fields: Mapping[str, str]) -> tuple[Acknowledgements, str]:
    """What the fields of a form acknowledge, and the fault of the reason to accept failing cases; empty without one."""
    reason = fields.get("accept", "").replace("\r\n", "\n").strip()
    given = Acknowledgements(fields.get("acknowledge") == "yes", fields.get("fewer") == "yes", reason)
    return given, reason_fault(reason) if reason else ""


def missing_acknowledgements(refused: Unacknowledged, change: str) -> dict[str, str]:
    """The errors of a form, by field; `change` says what widens access."""
    errors: dict[str, str] = {}
    if refused.widens:
        errors["acknowledge"] = f"{change}: check the box to confirm."
    if refused.fewer:
        errors["fewer"] = f"{sentence(refused.fewer.summary)}: check the box to confirm."
    if refused.cases:
        errors["accept"] = (
            f"{sentence(refused.cases.summary)}: correct the policy or its tests, or write why this is accepted."
        )
    return errors
