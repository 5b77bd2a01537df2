"""Rows whose condition reads the address of the client."""

from __future__ import annotations

from collections.abc import Iterator

from app.policy.language.load import Policy
from app.policy.language.rule import Rule

ADDRESS = "request.ip"


def address_readers(policy: Policy) -> Iterator[Rule]:
    """The rules that read `request.ip`, by file and line."""
    return (rule for rule in policy.rules if rule.condition and ADDRESS in rule.condition.references)
