"""Decides a past request whose condition variables were not kept. A verdict that depends on a condition is unknown."""

from __future__ import annotations

from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.verdict import held_rules
from app.policy.language.rule import Rule


def decide_without_context(snapshot: Snapshot, held: frozenset[str], resource: str, action: str) -> Decision | None:
    """Decide for a caller that states `held`; None if the verdict depends on a condition."""
    rules = snapshot.rules_for(resource, action) if snapshot.has_conditions else ()
    if any(rule.condition for rule in rules) and _depends_on_condition(held_rules(rules, snapshot.effective(held))):
        return None
    return snapshot.decide(held, resource, action)


def _depends_on_condition(held: tuple[Rule, ...]) -> bool:
    """Whether these rules, all of whose grants are held, could both allow and deny."""

    def some(effect: str, *, conditional: bool) -> bool:
        return any(rule.effect == effect and (rule.condition is not None) is conditional for rule in held)

    if some("deny", conditional=False):
        return False
    may_deny = some("deny", conditional=True) or not some("allow", conditional=False)
    may_allow = some("allow", conditional=False) or some("allow", conditional=True)
    return may_allow and may_deny
