"""An immutable policy that decides: the policy decision point (PDP) of XACML and AuthZEN."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from app.identity.principal import ANYONE, KEY_METHOD
from app.policy.engine.candidates import Candidates
from app.policy.engine.decision import Decision
from app.policy.engine.delegation import (
    SideContext,
    Sides,
    class_of,
    decide_both,
    is_delegated,
    sides_of,
    sides_of_class,
)
from app.policy.engine.expand import expand, key_of
from app.policy.engine.limited_scopes import close_caller, in_force
from app.policy.engine.rule_index import RuleIndex
from app.policy.engine.verdict import Conditions, held_rules, verdict
from app.policy.gc_control import release_memory
from app.policy.language.load import Policy
from app.policy.language.reason import Reason
from app.policy.language.rule import ASK, SCOPE_TYPE, Rule, distinct_terms
from app.policy.language.when.condition import NO_CONTEXT, Context
from app.policy.routing.routes import RouteTable

MAX_CACHED = 50_000  # decisions
MAX_CACHED_GRANTS = 500  # of one principal; a larger one is classified each time
MAX_CACHED_CHARACTERS = 16_384  # of them, which is more than fit in a token
MAX_CACHED_BYTES = 16 * 1024 * 1024  # of principals and decisions, estimated: services may ask about any number
_DECISION_BYTES = 300
_STEP = 100  # parts freed at once
_NOT_CLASSIFIED = frozenset({""})  # the class of no principal, since no grant is empty


class Snapshot:
    """One revision of the policy over one route table. Only its caches change."""

    def __init__(self, policy: Policy, table: RouteTable) -> None:
        self.policy = policy
        self.table = table.extended(
            policy.upstreams, (template for service in policy.services for template in service.closed)
        )
        self.revision = policy.revision
        self.index: RuleIndex = expand(policy.rules, self.table)
        terms = distinct_terms(policy.rules)
        self.has_conditions = any(each.condition for each in terms)
        self._conditional = frozenset(
            key
            for key, rules in self.index.items()
            if any([rule.terms.condition for rule in rules])  # noqa: C419  # see _decide
        )
        # Grants that no row names cannot change a verdict: without them, principals fall into few classes.
        self._named = frozenset(grant for needs in {each.needs for each in terms} for grant in needs)
        self._relevant = self._named.union(policy.roles, (KEY_METHOD,))
        self._classes: dict[frozenset[str], frozenset[str]] = {}
        self._interned: dict[frozenset[str], frozenset[str]] = {}
        self._memo: dict[tuple[str, str, frozenset[str]], Decision] = {}
        self._bytes = 0
        self.misses = 0  # decisions that rules apply to and that were not cached

    def decide(self, held: frozenset[str], resource: str, action: str, context: Context = NO_CONTEXT) -> Decision:
        """Decide whether `held` may do `action` on `resource`. Pure; never raises for a caller's fault.

        `anyone` is always held. A verdict that depends on no condition is cached.
        """
        grants = self._classes.get(held)
        if grants is None:
            grants = self._classify(held)
        cached = self._memo.get((resource, action, grants))
        if cached is not None:
            return cached
        return self._decide(held, grants, resource, action, context)

    def recall(self, held: frozenset[str], resource: str, action: str) -> Decision | None:
        """The cached decision, which depends on no condition and thus on no context; None if there is none."""
        return self._memo.get((resource, action, self._classes.get(held, _NOT_CLASSIFIED)))

    @cached_property
    def candidates(self) -> Candidates:
        """What searches can find. A server builds it with the policy, and a check not at all."""
        return Candidates(self.policy, self.table)

    def detached(self) -> Snapshot:
        """The same policy with its own caches, for background work that must not affect this one's."""
        other = object.__new__(Snapshot)
        other.__dict__.update(self.__dict__)
        other._classes, other._interned, other._memo = {}, {}, {}
        other._bytes = other.misses = 0
        return other

    def is_conditional(self, resource: str, action: str) -> bool:
        """Whether the condition of a row can decide about an action on a route or a thing."""
        if (resource, action) in self._conditional:
            return True
        # Only of a thing that no row names the rules have another key. The index is not read for the others.
        return ":" in resource and bool(self._conditional) and key_of(resource, action, self.index) in self._conditional

    def in_force(self, held: Iterable[str]) -> frozenset[str]:
        """The stated grants, with those limited scopes of a key that role rows now give its owner."""
        return in_force(frozenset(held), self.policy.roles)

    def effective(self, held: Iterable[str]) -> frozenset[str]:
        """The grants in force, `anyone`, and all that `g` rows add to them. Unknown ones stay, and grant nothing.

        For an app on behalf of a user, the grants that both sides hold.
        """
        held = frozenset(held)
        if is_delegated(held):
            sides = self.sides(held)
            return sides.app & sides.user
        return close_caller(self.in_force(held) | {ANYONE}, self.policy.roles)

    def sides(self, held: frozenset[str]) -> Sides:
        """The effective grants of an app and of its user."""
        return sides_of(held, self.policy.roles, self.may_ask)

    def each_side(self, held: Iterable[str]) -> tuple[frozenset[str], ...]:
        """The effective grants of each side that must be allowed: of an app and its user, or of the only side."""
        held = frozenset(held)
        return tuple(self.sides(held)) if is_delegated(held) else (self.effective(held),)

    def may_ask(self, grants: frozenset[str], scope: str) -> bool:
        """Whether an app that holds these grants may ask for a scope."""
        return {rule.effect for rule in self.ask_rules(scope) if rule.needs <= grants} == {"allow"}

    def ask_rules(self, scope: str) -> tuple[Rule, ...]:
        """The rules that say which apps may ask for a scope."""
        return self.index.get((f"{SCOPE_TYPE}:{scope}", ASK), ())

    def rules_for(self, resource: str, action: str) -> tuple[Rule, ...]:
        """The rules that apply to an action on a resource, in file order."""
        key = key_of(resource, action, self.index)
        return self.index[key] if key else ()

    def parts(self) -> list[object]:
        """The objects that a snapshot has very many of."""
        cached = (*self._memo.keys(), *self._memo.values(), *self._classes.keys())
        entities = (self.policy.entities.subjects, self.policy.entities.resources)
        known = (part for each in entities for part in (*each.keys(), *each.values()))
        applying = (found for by_resource in self.index.by_action.values() for found in by_resource.values())
        return [*self.policy.rules, *self.table.routes, *applying, *cached, *known]

    def _classify(self, held: frozenset[str]) -> frozenset[str]:
        """The relevant grants, as one object for all principals with the same ones; the cache is bounded."""
        if is_delegated(held):
            sides = self.sides(held)
            grants = class_of(Sides(sides.app & self._named, sides.user & self._named))
        else:
            grants = self.effective(self.in_force(held) & self._relevant) & self._named
        cost = 0 if grants in self._interned else 300 + 100 * len(grants)
        cacheable = len(held) <= MAX_CACHED_GRANTS and (characters := sum(map(len, held))) <= MAX_CACHED_CHARACTERS
        if cacheable:
            cost += 300 + 100 * len(held) + characters
        if self._bytes + cost > MAX_CACHED_BYTES:
            self._evict()
        self._bytes += cost
        grants = self._interned.setdefault(grants, grants)
        if cacheable:
            self._classes[held] = grants
        return grants

    def _evict(self) -> None:
        # All three at once: a cached decision keeps its grants alive.
        self._classes.clear()
        self._interned.clear()
        self._memo.clear()
        self._bytes = 0

    def _decide(
        self, held: frozenset[str], grants: frozenset[str], resource: str, action: str, context: Context
    ) -> Decision:
        key = key_of(resource, action, self.index)
        if key is None:
            # Not cached: a caller can name any number of resources.
            return Decision(False, Reason.UNRULED, self.revision)
        if key != (resource, action) and (cached := self._memo.get((*key, grants))):
            return cached
        self.misses += 1
        rules = self.index[key]
        if sides := sides_of_class(grants):
            conditions = self._conditions_of_sides(held, rules, context)
            decision, is_conditional = decide_both(rules, sides, conditions, self.revision, self.may_ask)
        else:
            found = held_rules(rules, grants)
            decision = verdict(rules, found, grants, Conditions(context), self.revision)
            is_conditional = any([rule.terms.condition for rule in found])  # noqa: C419  # half the time of a generator
        if not is_conditional:
            if len(self._memo) >= MAX_CACHED or self._bytes + _DECISION_BYTES > MAX_CACHED_BYTES:
                self._evict()
            self._bytes += _DECISION_BYTES
            self._memo[*key, grants] = decision
        return decision

    def _conditions_of_sides(
        self, held: frozenset[str], rules: Iterable[Rule], context: Context
    ) -> tuple[Conditions, Conditions]:
        if context is NO_CONTEXT or not any(rule.condition for rule in rules):
            return Conditions(context), Conditions(context)
        app, user = self.sides(held)
        return Conditions(SideContext(context, app)), Conditions(SideContext(context, user))


def free_snapshots(replaced: list[Snapshot]) -> None:
    """Empty the list and free its items in steps: freeing all at once would block every other thread."""
    while replaced:
        parts = replaced.pop().parts()
        while parts:
            del parts[-_STEP:]  # the interpreter may switch threads between two steps
    release_memory()
