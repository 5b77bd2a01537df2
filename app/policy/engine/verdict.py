"""Combines the rules of one resource: a deny that applies beats every allow, and no match is a deny."""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.principal import is_fact
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason
from app.policy.language.rule import Rule
from app.policy.language.when.condition import ConditionError, Context


class Conditions:
    """The conditions of one request, each evaluated at most once, so that its outcome is consistent.

    The outcome of one that cannot be evaluated is the message: an exception that is kept would also keep, by its
    traceback, all that was in use where it was raised.
    """

    __slots__ = ("_context", "_outcomes")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._outcomes: dict[str, bool | str] = {}

    def met(self, rule: Rule) -> bool:
        """Whether the condition of a rule holds; a rule without one always does. Raises ConditionError."""
        if rule.condition is None:
            return True
        place = rule.place
        outcome = self._outcomes.get(place)
        if outcome is None:
            try:
                outcome = rule.condition.met(self._context)
            except ConditionError as error:
                outcome = str(error)
            self._outcomes[place] = outcome
        if isinstance(outcome, str):
            raise ConditionError(outcome)
        return outcome

    def settle(self, rule: Rule, outcome: bool | str) -> None:
        """Set the outcome of a condition, or why it has none, without evaluating it."""
        self._outcomes[rule.place] = outcome


def held_rules(rules: Iterable[Rule], grants: frozenset[str]) -> tuple[Rule, ...]:
    """The rules all of whose grants are held."""
    return tuple([rule for rule in rules if rule.terms.needs <= grants])


def verdict(
    rules: tuple[Rule, ...], found: tuple[Rule, ...], grants: frozenset[str], conditions: Conditions, revision: str
) -> Decision:
    """Decide by the first deny that applies, else by the first allow that applies.

    `rules` are all rules of the resource, `found` those whose grants are held.
    """
    allow: Rule | None = None
    errors: list[Rule] = []
    for rule in found:
        terms = rule.terms
        if terms.effect == "allow" and allow:
            continue
        try:
            applies = terms.condition is None or conditions.met(rule)
        except ConditionError:
            errors.append(rule)
            if terms.effect == "deny":
                return Decision(False, Reason.CONDITION_ERROR, revision, rule, errors=tuple(errors))
            continue
        if applies and terms.effect == "deny":
            return Decision(False, Reason.DENIED, revision, rule, errors=tuple(errors))
        if applies:
            allow = rule
    if allow:
        return Decision(True, Reason.ALLOWED, revision, allow, errors=tuple(errors))
    if errors:
        return Decision(False, Reason.CONDITION_ERROR, revision, errors[0], errors=tuple(errors))
    unmet = next((rule for rule in found if rule.effect == "allow"), None)
    if unmet:
        return Decision(False, Reason.NOT_MET, revision, unmet)
    nearest = nearest_rule(rules, grants)
    missing = tuple(sorted(nearest.needs - grants)) if nearest else ()
    return Decision(False, Reason.NOT_HELD, revision, None, missing)


def nearest_rule(rules: Iterable[Rule], grants: frozenset[str]) -> Rule | None:
    """The allow with the fewest missing grants, preferring permissions, which a caller can request, over facts."""
    allows = [rule for rule in rules if rule.effect == "allow"]
    if len(allows) == 1:  # the usual case
        return allows[0]
    return min(allows, key=lambda rule: (not _is_requestable(rule, grants), len(rule.needs - grants)), default=None)


def _is_requestable(rule: Rule, grants: frozenset[str]) -> bool:
    return not any(is_fact(grant) for grant in rule.needs - grants)
