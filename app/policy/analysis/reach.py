"""Reverse queries: what grants reach, and which grants reach a resource.

The variables of conditions are unknown here, so a verdict that depends on a condition is `conditional`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice, product

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.identity.org_facts import ORG_FACTS
from app.identity.principal import ANYONE, is_fact
from app.policy.analysis.near_rows import without_implied
from app.policy.engine.delegation import is_delegated
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import natural_order, sorted_in_steps
from app.policy.language.caller import FOR, read_caller
from app.policy.language.grants import excludes, known_roles
from app.policy.language.row_view import RowView
from app.policy.language.rule import Rule

MAX_CHOICES = 200  # of rows about the scopes of one way
_USER, _KEY, _ROLE = "user:", "key:", "role:"


class Reach(Enum):
    """Whether something is allowed, as far as that is known without the variables of conditions."""

    YES = "yes"
    CONDITIONAL = "conditional"
    NO = "no"


@dataclass(frozen=True, slots=True)
class ReachedView:
    """Something that is reached, and the row that allows it; `conditional` if a condition has a part in it."""

    action: str
    resource: str
    rule: RowView
    conditional: bool


@dataclass(frozen=True, slots=True)
class ReachedAction:
    """An action on a resource that grants reach, and the row that allows it."""

    action: str
    resource: str
    rule: Rule
    conditional: bool

    @property
    def view(self) -> ReachedView:
        """The action in a JSON document."""
        return ReachedView(self.action, self.resource, self.rule.view, self.conditional)


@dataclass(frozen=True, slots=True)
class WayIn:
    """Grants that suffice together, and the row that needs them; none means everyone.

    `roles` add all of them except facts of the caller.
    """

    grants: tuple[str, ...]
    roles: tuple[str, ...]
    rule: RowView
    conditional: bool


@dataclass(frozen=True, slots=True)
class AppWay:
    """Scopes that suffice for an app whose user holds them too, and the rows that say which apps may ask for them."""

    scopes: tuple[str, ...]
    asked_by: list[RowView]
    conditional: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """A user, key, role or app in the policy's rows that has access with only what rows grant it."""

    grant: str
    conditional: bool


def outcome(rules: Sequence[Rule], effective: frozenset[str]) -> tuple[Reach, Rule | None]:
    """The verdict of the rules that apply to one resource for effective grants, and the row that allows it."""
    allow: Rule | None = None
    is_open, may_deny = False, False
    for rule in rules:
        if not rule.needs <= effective:
            continue
        if rule.effect == "deny":
            if rule.condition is None:
                return Reach.NO, None
            may_deny = True
        elif rule.condition is None:
            allow, is_open = (allow if is_open else rule), True
        elif allow is None:
            allow = rule
    if allow is None:
        return Reach.NO, None
    return (Reach.YES if is_open and not may_deny else Reach.CONDITIONAL), allow


def outcome_of_sides(rules: Sequence[Rule], sides: Iterable[frozenset[str]]) -> tuple[Reach, Rule | None]:
    """The verdict for a caller each of whose sides must be allowed, and the row that allows the first side."""
    found = [outcome(rules, side) for side in sides]
    if any(reached is Reach.NO for reached, _ in found):
        return Reach.NO, None
    is_conditional = any(reached is Reach.CONDITIONAL for reached, _ in found)
    return (Reach.CONDITIONAL if is_conditional else Reach.YES), found[0][1]


def reach(snapshot: Snapshot, held: Iterable[str]) -> Iterator[ReachedAction]:
    """Find all that the grants reach, by resource and action. `held` is not verified; `anyone` is always held.

    Slow for a large policy: run it off the event loop.
    """
    sides = snapshot.each_side(held)
    for resource, action in sorted_in_steps(snapshot.index, natural_order):
        found, rule = outcome_of_sides(snapshot.index[resource, action], sides)
        if rule is not None:
            yield ReachedAction(action, resource, rule, found is Reach.CONDITIONAL)


def ways_in(snapshot: Snapshot, rules: Sequence[Rule]) -> list[WayIn]:
    """Find the minimal sets of grants that satisfy these rules, the smallest first.

    A set that satisfies one row but is always denied by another is left out.
    """
    found: dict[frozenset[str], WayIn] = {}
    for needs in {rule.needs for rule in rules if rule.effect == "allow"}:
        if any(excludes(needs - {grant}, grant) for grant in needs):
            continue
        opened, rule = outcome_of_sides(rules, snapshot.each_side(_both_sides(needs)))
        if rule is not None:
            grants = frozenset(without_implied(snapshot, sorted(needs - {ANYONE})))
            conditional = opened is Reach.CONDITIONAL
            found[grants] = WayIn(tuple(sorted(grants)), _roles(snapshot, grants), rule.view, conditional)
    ways = [
        way for grants, way in found.items() if not _is_needless(way, snapshot.effective(_both_sides(grants)), found)
    ]
    return sorted(ways, key=lambda way: (len(way.grants), way.grants))


def _is_needless(way: WayIn, effective: frozenset[str], found: Mapping[frozenset[str], WayIn]) -> bool:
    """Whether another way needs no other grants, and no condition unless this one has a condition too."""
    return any(
        other is not way and effective.issuperset(grants) and (way.conditional or not other.conditional)
        for grants, other in found.items()
    )


def holders(snapshot: Snapshot, rules: Sequence[Rule]) -> list[Holder]:
    """Find which of the users, keys, roles and apps in the policy's rows have access.

    A user is signed in, a role is held by such a user, and a key has no scopes, since those are in the database. An app
    has no consent, and acts for any user.
    """
    grants = {grant for row in snapshot.policy.memberships for grant in (row.member, row.grant)}
    grants |= {grant for rule in snapshot.policy.rules for grant in rule.needs}
    found = []
    for grant in sorted(grants):
        if grant.startswith((_USER, _ROLE)):
            facts = {"auth:jwt"}
        elif grant.startswith(_KEY):
            facts = {"auth:api_key"}
        elif grant.startswith(APP_FACTS):
            facts = {APP_METHOD}
        else:
            continue
        opened, _ = outcome_of_sides(rules, snapshot.each_side({*facts, grant}))
        if opened is not Reach.NO:
            found.append(Holder(grant, opened is Reach.CONDITIONAL))
    return found


def app_ways(snapshot: Snapshot, rules: Sequence[Rule]) -> list[AppWay]:
    """Find the scopes that open it to apps whose users hold them too, each set with the rows that say who may ask."""
    found: list[AppWay] = []
    for way in ways_in(snapshot, rules):
        asks = [[ask for ask in snapshot.ask_rules(scope) if ask.effect == "allow"] for scope in way.grants]
        if any(map(is_fact, way.grants)):
            continue
        asked_by: dict[Rule, None] = {}
        for chosen in islice(product(*asks), MAX_CHOICES):
            facts = frozenset[str]().union(*(ask.needs for ask in chosen))
            held = read_caller([*facts, *way.grants, FOR, *way.grants])
            if outcome_of_sides(rules, snapshot.each_side(held))[0] is not Reach.NO:
                asked_by.update(dict.fromkeys(chosen))
        if asked_by:
            found.append(AppWay(way.grants, [ask.view for ask in asked_by], way.conditional))
    return found


def _both_sides(grants: Iterable[str]) -> frozenset[str]:
    """The grants of a caller; of an app and its user if a fact of apps is among them."""
    grants = frozenset(grants)
    if not is_delegated(grants):
        return grants
    plain = [grant for grant in grants if not is_fact(grant)]
    of_user = [grant for grant in grants if grant.startswith((_USER, _ROLE, *ORG_FACTS))]
    return read_caller([*(grants - frozenset(of_user)), FOR, *plain, *of_user])


def _roles(snapshot: Snapshot, grants: frozenset[str]) -> tuple[str, ...]:
    """The roles that add all of the grants, except the caller's own facts, which no role adds."""
    own = ("auth:", "env:", _USER, _KEY, *APP_FACTS, *ORG_FACTS)
    addable = {grant for grant in grants if not grant.startswith(own)}
    if not addable:
        return ()
    roles = sorted(known_roles(snapshot.policy.memberships))
    return tuple(role for role in roles if snapshot.effective({role}).issuperset(addable))
