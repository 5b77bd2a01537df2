"""An immutable policy that decides: PDP in the terms of XACML and AuthZEN."""

from __future__ import annotations

from collections.abc import Iterable

from app.identity.principal import is_fact
from app.policy.condition import NO_CONTEXT, ConditionError, Context
from app.policy.decision import Decision, Reason
from app.policy.expand import Index, expand
from app.policy.judge import Judge, matching
from app.policy.load import Policy
from app.policy.roles import Closure
from app.policy.routes import RouteTable
from app.policy.rule import Rule

MAX_REMEMBERED = 50_000


class Snapshot:
    """One revision of the policy over one route table. Nothing in it changes but what it remembers."""

    def __init__(self, policy: Policy, table: RouteTable) -> None:
        self.policy = policy
        self.table = table
        self.revision = policy.revision
        self.index: Index = expand(policy.rules, table)
        self._judge = Judge(self.index)
        self._closure: Closure = policy.closure
        # A grant that no row names cannot change a verdict: without it, principals fall into few classes.
        self._named = frozenset(grant for rule in policy.rules for grant in rule.needs)
        self._classes: dict[frozenset[str], frozenset[str]] = {}
        self._interned: dict[frozenset[str], frozenset[str]] = {}
        self._memo: dict[tuple[str, str, frozenset[str]], Decision] = {}

    def decide(self, held: frozenset[str], resource: str, action: str, context: Context = NO_CONTEXT) -> Decision:
        """Decide whether whoever states `held` may do `action` on `resource`. Pure; never raises for a caller's fault.

        A verdict that no condition had a part in is remembered; one with a condition is made anew each time.
        """
        grants = self._classes.get(held)
        if grants is None:
            grants = self._classify(held)
        remembered = self._memo.get((resource, action, grants))
        if remembered is not None:
            return remembered
        return self._decide(grants, resource, action, context)

    def effective(self, held: Iterable[str]) -> frozenset[str]:
        """The grants stated and all that `g` rows add to them."""
        stated = frozenset(held)
        return stated.union(*(self._closure[grant] for grant in stated if grant in self._closure))

    def rules_for(self, resource: str, action: str) -> tuple[Rule, ...]:
        """The rules that speak of an action on a resource, in the order of the files."""
        return self.index.get((resource, action), ())

    def _classify(self, held: frozenset[str]) -> frozenset[str]:
        grants = self.effective(held) & self._named
        if len(self._classes) >= MAX_REMEMBERED:
            self._classes.clear()
            self._interned.clear()
        grants = self._interned.setdefault(grants, grants)
        self._classes[held] = grants
        return grants

    def _decide(self, grants: frozenset[str], resource: str, action: str, context: Context) -> Decision:
        rules = self.rules_for(resource, action)
        if not rules:
            # Not remembered: a caller can name any number of resources.
            return Decision(False, Reason.UNRULED, self.revision)
        found = matching(rules, grants)
        decision = _attribute(rules, found, grants, context, self.revision)
        if self._judge.allows(grants, resource, action, context) is not decision.allowed:
            return Decision(False, Reason.DISPUTED, self.revision, decision.rule)
        if not any(rule.condition for rule in found):
            if len(self._memo) >= MAX_REMEMBERED:
                self._memo.clear()
            self._memo[resource, action, grants] = decision
        return decision


def _attribute(
    rules: tuple[Rule, ...], found: tuple[Rule, ...], grants: frozenset[str], context: Context, revision: str
) -> Decision:
    """Which rule decides: the first deny that applies, else the first allow that does."""
    allow: Rule | None = None
    errors: list[Rule] = []
    for rule in found:
        if rule.effect == "allow" and allow:
            continue
        try:
            applies = rule.condition is None or rule.condition.met(context)
        except ConditionError:
            errors.append(rule)
            if rule.effect == "deny":
                return Decision(False, Reason.CONDITION_ERROR, revision, rule, errors=tuple(errors))
            continue
        if applies and rule.effect == "deny":
            return Decision(False, Reason.DENIED, revision, rule, errors=tuple(errors))
        if applies:
            allow = rule
    if allow:
        return Decision(True, Reason.ALLOWED, revision, allow, errors=tuple(errors))
    if errors:
        return Decision(False, Reason.CONDITION_ERROR, revision, errors[0], errors=tuple(errors))
    if any(rule.effect == "allow" for rule in found):
        return Decision(False, Reason.NOT_MET, revision, next(rule for rule in found if rule.effect == "allow"))
    nearest = nearest_rule(rules, grants)
    missing = tuple(sorted(nearest.needs - grants)) if nearest else ()
    return Decision(False, Reason.NOT_HELD, revision, None, missing)


def nearest_rule(rules: Iterable[Rule], grants: frozenset[str]) -> Rule | None:
    """The allow that lacks the fewest grants, one that a caller can ask for before one it cannot."""
    allows = [rule for rule in rules if rule.effect == "allow"]
    return min(allows, key=lambda rule: (not _askable(rule, grants), len(rule.needs - grants)), default=None)


def _askable(rule: Rule, grants: frozenset[str]) -> bool:
    return not any(is_fact(grant) for grant in rule.needs - grants)
