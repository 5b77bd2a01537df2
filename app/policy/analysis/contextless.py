"""Decides what was asked before, when what conditions read then is gone: a verdict that needs one is not guessed."""

from __future__ import annotations

from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.verdict import held_rules
from app.policy.language.rule import Rule


def decide_without_context(snapshot: Snapshot, held: frozenset[str], resource: str, action: str) -> Decision | None:
    """The decision on a caller who states `held`; None when a condition decides."""
    rules = snapshot.rules_for(resource, action) if snapshot.has_conditions else ()
    if any(rule.condition for rule in rules) and _hangs_on_condition(held_rules(rules, snapshot.effective(held))):
        return None
    return snapshot.decide(held, resource, action)


def _hangs_on_condition(held: tuple[Rule, ...]) -> bool:
    """Whether these rules, whose grants are all held, could both allow and deny."""

    def some(effect: str, *, conditional: bool) -> bool:
        return any(rule.effect == effect and (rule.condition is not None) is conditional for rule in held)

    if some("deny", conditional=False):
        return False
    may_deny = some("deny", conditional=True) or not some("allow", conditional=False)
    may_allow = some("allow", conditional=False) or some("allow", conditional=True)
    return may_allow and may_deny
