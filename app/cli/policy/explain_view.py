"""The JSON document of `authz policy explain --request`."""

from __future__ import annotations

from msgspec import Struct

from app.audit.view import DecisionView
from app.policy.analysis.explained import ExplanationView


class PastExplanation(Struct, frozen=True):
    """What was decided on a past request, and what the policy says now; if that is unknown, `note` says why.

    `others` are more decisions on the same request.
    """

    now: ExplanationView | None
    then: DecisionView
    others: int
    note: str | None
