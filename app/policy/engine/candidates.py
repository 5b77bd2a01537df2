"""The subjects, resources and actions that a policy names: the candidates of AuthZEN searches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from app.policy.gc_control import natural_order, sorted_in_steps
from app.policy.language.load import Policy
from app.policy.language.rule import distinct_terms
from app.policy.routing.routes import METHODS, RouteTable

ROUTE_TYPE = "route"
_ROUTE_ACTIONS = tuple(sorted(METHODS))
_USER = "user:"


class Candidates:
    """The sorted names in a policy. A policy of roles names no subject, and most things only by type."""

    def __init__(self, policy: Policy, table: RouteTable) -> None:
        grants = [row.member for row in policy.memberships]
        grants += {grant for needs in {each.needs for each in distinct_terms(policy.rules)} for grant in needs}
        users = [("user", grant.removeprefix(_USER)) for grant in grants if grant.startswith(_USER)]
        things = {rule.resource for rule in policy.rules if not rule.is_route}
        named = [(kind, identity) for kind, _, identity in (thing.partition(":") for thing in things) if identity]
        self._subjects = _by_type([*policy.entities.subjects, *users])
        self._resources = _by_type([*policy.entities.resources, *named])
        self._resources[ROUTE_TYPE] = table.templates
        self._actions: dict[str, set[str]] = {}
        for rule in policy.rules:
            if not rule.is_route:
                self._actions.setdefault(rule.resource, set()).update(rule.actions)

    def subjects(self, kind: str) -> Sequence[str]:
        """The ids of subjects of a type: entities, and users that rows name."""
        return self._subjects.get(kind, ())

    def resources(self, kind: str) -> Sequence[str]:
        """The ids of resources of a type: entities, the things that rows name, and the templates of routes."""
        return self._resources.get(kind, ())

    def actions(self, kind: str, identity: str) -> Sequence[str]:
        """The actions that rows name for a thing or its type; every method for a route."""
        if kind == ROUTE_TYPE:
            return _ROUTE_ACTIONS
        none: set[str] = set()
        return sorted(self._actions.get(kind, none) | self._actions.get(f"{kind}:{identity}", none))


def names_after(names: Sequence[str], after: str, limit: int) -> Sequence[str]:
    """The first sorted names after `after`, which need not be one of them."""
    start = bisect_right(names, after)
    return names[start : start + limit]


def _by_type(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, set[str]] = {}
    for kind, identity in pairs:
        found.setdefault(kind, set()).add(identity)
    return {kind: tuple(sorted_in_steps(names, natural_order)) for kind, names in found.items()}
