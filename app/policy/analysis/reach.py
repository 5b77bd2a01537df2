"""Reverse questions: what grants reach, and which grants reach a thing.

What a condition would read is not known here, so where one has a part in the verdict the answer is `conditional`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from app.identity.principal import ANYONE
from app.policy.analysis.explain import without_implied
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import itself, sorted_in_steps
from app.policy.language.grants import excludes, known_roles
from app.policy.language.rule import Rule

_USER, _KEY, _ROLE = "user:", "key:", "role:"


class Reach(Enum):
    """Whether something is allowed, as far as that can be told without what conditions read."""

    YES = "yes"
    CONDITIONAL = "conditional"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Reached:
    """Something that grants reach, and the row that allows it."""

    action: str
    resource: str
    rule: Rule
    conditional: bool


@dataclass(frozen=True, slots=True)
class WayIn:
    """Grants that suffice together, the row that says so, and the roles that add all of them but facts."""

    grants: tuple[str, ...]
    rule: Rule
    conditional: bool
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Holder:
    """A user, key or other grant that rows name and that gets in, with nothing else than rows give it."""

    grant: str
    conditional: bool


def outcome(rules: Sequence[Rule], effective: frozenset[str]) -> tuple[Reach, Rule | None]:
    """The verdict of the rules that speak of one thing on grants in effect, and the row that allows it."""
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


def reach(snapshot: Snapshot, held: Iterable[str]) -> Iterator[Reached]:
    """All that the grants reach, by resource and action. `held` is believed, facts too; everyone is `anyone`.

    With many rules it takes a while, which is to be spent off the event loop.
    """
    effective = snapshot.effective(held)
    for resource, action in sorted_in_steps(snapshot.index, itself):
        found, rule = outcome(snapshot.index[resource, action], effective)
        if rule is not None:
            yield Reached(action, resource, rule, found is Reach.CONDITIONAL)


def ways_in(snapshot: Snapshot, rules: Sequence[Rule]) -> list[WayIn]:
    """The minimal sets of grants that open what these rules speak of, the smallest first; none when nothing does.

    A set that holds enough for a row, but is always denied by another, opens nothing.
    """
    found: dict[frozenset[str], WayIn] = {}
    for needs in {rule.needs for rule in rules if rule.effect == "allow"}:
        if any(excludes(needs - {grant}, grant) for grant in needs):
            continue
        opened, rule = outcome(rules, snapshot.effective(needs))
        if rule is not None:
            grants = frozenset(without_implied(snapshot, sorted(needs - {ANYONE})))
            conditional = opened is Reach.CONDITIONAL
            found[grants] = WayIn(tuple(sorted(grants)), rule, conditional, _roles(snapshot, grants))
    ways = [way for grants, way in found.items() if not _is_needless(way, snapshot.effective(grants), found)]
    return sorted(ways, key=lambda way: (len(way.grants), way.grants))


def _is_needless(way: WayIn, effective: frozenset[str], found: Mapping[frozenset[str], WayIn]) -> bool:
    """Whether another way takes no more, and does not depend on a condition when this one does not."""
    return any(
        other is not way and grants <= effective and (way.conditional or not other.conditional)
        for grants, other in found.items()
    )


def holders(snapshot: Snapshot, rules: Sequence[Rule]) -> list[Holder]:
    """Who gets in, of the users, keys and roles that rows name.

    A user counts as signed in, a role as held by such a user, a key as one without scopes: those are in the database.
    """
    named = {grant for row in snapshot.policy.memberships for grant in (row.member, row.grant)}
    named |= {grant for rule in snapshot.policy.rules for grant in rule.needs}
    found = []
    for grant in sorted(named):
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
    """The roles that add all of the grants but what a role cannot add: facts of the caller itself."""
    wanted = {grant for grant in grants if not grant.startswith(("auth:", "env:", _USER, _KEY))}
    if not wanted:
        return ()
    roles = sorted(known_roles(snapshot.policy.memberships))
    return tuple(role for role in roles if wanted <= snapshot.effective({role}))
