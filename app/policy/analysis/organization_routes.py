"""Finds routes of an organization that are open to members of others: no condition reads which one is in the path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault
from app.policy.language.placement import fault_at_rule
from app.policy.language.rule import Rule

PARAMETERS = ("org_id", "organization_id", "organisation_id")


def uncompared_organizations(snapshot: Snapshot) -> Iterator[Fault]:
    """Rows that allow a route with the id of an organization in its path without reading it, each with such a route.

    OPTIONS is left out: it tells the methods of a route, and nothing of an organization.
    """
    found: dict[Rule, tuple[str, str]] = {}
    for (template, action), rules in snapshot.index.items():
        if action == "OPTIONS":
            continue
        parameter = next((name for name in PARAMETERS if f"{{{name}}}" in template), None)
        if parameter is not None:
            for rule in rules:
                if rule.effect == "allow" and not _is_compared(snapshot, rule, rules, parameter):
                    found.setdefault(rule, (template, parameter))
    for rule, (template, parameter) in found.items():
        message = (
            f"this row allows {template} whatever the organization of the caller: no condition reads `{parameter}`"
        )
        hint = (
            f"add the condition `subject.org.id == params.{parameter}`; if members of every organization may, "
            f"write `has(params.{parameter})`"
        )
        yield fault_at_rule(rule, snapshot.policy, "uncompared-organization", message, hint)


def _is_compared(snapshot: Snapshot, rule: Rule, rules: Sequence[Rule], parameter: str) -> bool:
    """Whether the condition of the row, or of a deny that applies to all of its callers, reads the organization."""
    if _reads(rule, parameter):
        return True
    held = snapshot.effective(rule.needs)
    return any(other.effect == "deny" and held.issuperset(other.needs) and _reads(other, parameter) for other in rules)


def _reads(rule: Rule, parameter: str) -> bool:
    return rule.condition is not None and f"params.{parameter}" in rule.condition.references
