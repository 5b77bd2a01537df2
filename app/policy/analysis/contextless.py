"""Decides a past request whose condition variables were not kept. A verdict that depends on a condition is unknown."""

from __future__ import annotations

from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.verdict import Conditions, held_rules, verdict
from app.policy.language.rule import Rule
from app.policy.language.when.condition import NO_CONTEXT


def decide_without_context(snapshot: Snapshot, held: frozenset[str], resource: str, action: str) -> Decision | None:
    """Decide for a caller that states `held`; None if the verdict depends on a condition."""
    rules = snapshot.rules_for(resource, action) if snapshot.has_conditions else ()
    if any(rule.condition for rule in rules):
        found = [(side, held_rules(rules, side)) for side in snapshot.each_side(held)]
        depending = [rules_of for _, rules_of in found if _depends_on_condition(rules_of)]
        if depending and not any(
            _is_denied(rules, side, rules_of) for side, rules_of in found if rules_of not in depending
        ):
            return None
    return snapshot.decide(held, resource, action)


def _is_denied(rules: tuple[Rule, ...], side: frozenset[str], found: tuple[Rule, ...]) -> bool:
    """Whether a side is denied, which depends on no condition, so that the other side does not matter."""
    return not verdict(rules, found, side, Conditions(NO_CONTEXT), "")


def _depends_on_condition(held: tuple[Rule, ...]) -> bool:
    """Whether these rules, all of whose grants are held, could both allow and deny."""

    def some(effect: str, *, conditional: bool) -> bool:
        return any(rule.effect == effect and (rule.condition is not None) is conditional for rule in held)

    if some("deny", conditional=False):
        return False
    may_deny = some("deny", conditional=True) or not some("allow", conditional=False)
    may_allow = some("allow", conditional=False) or some("allow", conditional=True)
    return may_allow and may_deny
