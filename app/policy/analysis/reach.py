"""Reverse queries: what grants reach, and which grants reach a resource.

The variables of conditions are unknown here, so a verdict that depends on a condition is `conditional`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from app.identity.principal import ANYONE
from app.policy.analysis.near_rows import without_implied
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import natural_order, sorted_in_steps
from app.policy.language.grants import excludes, known_roles
from app.policy.language.row_view import RowView
from app.policy.language.rule import Rule

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
class Holder:
    """A user, key or role in the policy's rows that has access with only what rows grant it."""

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


def reach(snapshot: Snapshot, held: Iterable[str]) -> Iterator[ReachedAction]:
    """Find all that the grants reach, by resource and action. `held` is not verified; `anyone` is always held.

    Slow for a large policy: run it off the event loop.
    """
    effective = snapshot.effective(held)
    for resource, action in sorted_in_steps(snapshot.index, natural_order):
        found, rule = outcome(snapshot.index[resource, action], effective)
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
        opened, rule = outcome(rules, snapshot.effective(needs))
        if rule is not None:
            grants = frozenset(without_implied(snapshot, sorted(needs - {ANYONE})))
            conditional = opened is Reach.CONDITIONAL
            found[grants] = WayIn(tuple(sorted(grants)), _roles(snapshot, grants), rule.view, conditional)
    ways = [way for grants, way in found.items() if not _is_needless(way, snapshot.effective(grants), found)]
    return sorted(ways, key=lambda way: (len(way.grants), way.grants))


def _is_needless(way: WayIn, effective: frozenset[str], found: Mapping[frozenset[str], WayIn]) -> bool:
    """Whether another way needs no other grants, and no condition unless this one has a condition too."""
    return any(
        other is not way and grants <= effective and (way.conditional or not other.conditional)
        for grants, other in found.items()
    )


def holders(snapshot: Snapshot, rules: Sequence[Rule]) -> list[Holder]:
    """Find which of the users, keys and roles in the policy's rows have access.

    A user is signed in, a role is held by such a user, and a key has no scopes, since those are in the database.
    """
    grants = {grant for row in snapshot.policy.memberships for grant in (row.member, row.grant)}
    grants |= {grant for rule in snapshot.policy.rules for grant in rule.needs}
    found = []
    for grant in sorted(grants):
        if grant.startswith((_USER, _ROLE)):
            facts = {"auth:jwt"}
        elif grant.startswith(_KEY):
            facts = {"auth:api_key"}
        else:
            continue
        opened, _ = outcome(rules, snapshot.effective({*facts, grant}))
        if opened is not Reach.NO:
            found.append(Holder(grant, opened is Reach.CONDITIONAL))
    return found


def _roles(snapshot: Snapshot, grants: frozenset[str]) -> tuple[str, ...]:
    """The roles that add all of the grants, except the caller's own facts, which no role adds."""
    addable = {grant for grant in grants if not grant.startswith(("auth:", "env:", _USER, _KEY))}
    if not addable:
        return ()
    roles = sorted(known_roles(snapshot.policy.memberships))
    return tuple(role for role in roles if addable <= snapshot.effective({role}))
