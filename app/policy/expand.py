"""Rows expanded over what exists: a pattern becomes one row for each route, a type one for each named thing.

Afterwards a rule is found by equality alone; nothing matches a path while a request waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from app.policy.routes import RouteTable
from app.policy.rule import Rule

# (resource, action) → the rules that speak of it, in the order of the files.
Index = Mapping[tuple[str, str], tuple[Rule, ...]]


def expand(rules: Iterable[Rule], table: RouteTable) -> Index:
    """Index the rules by each (resource, action) that they name."""
    rules = tuple(rules)
    index: dict[tuple[str, str], list[Rule]] = {}
    matched: dict[str, tuple[str, ...]] = {}
    things = _things(rules)
    for rule in rules:
        if rule.is_route:
            templates = matched.get(rule.resource)
            if templates is None:
                templates = matched[rule.resource] = table.match(rule.resource)
            for template in templates:
                methods = table.methods(template)
                for action in rule.actions:
                    if action in methods:
                        index.setdefault((template, action), []).append(rule)
        else:
            for thing in (rule.resource, *things.get(rule.resource, ())):
                for action in rule.actions:
                    index.setdefault((thing, action), []).append(rule)
    return MappingProxyType({key: tuple(found) for key, found in index.items()})


def _things(rules: Iterable[Rule]) -> Mapping[str, tuple[str, ...]]:
    """The named things of each type: a rule about a type also speaks of them."""
    things: dict[str, dict[str, None]] = {}
    for rule in rules:
        if not rule.is_route and ":" in rule.resource:
            things.setdefault(rule.resource.partition(":")[0], {})[rule.resource] = None
    return {kind: tuple(names) for kind, names in things.items()}


def rows(index: Index) -> Iterable[tuple[str, str, str, str, str]]:
    """The expanded rows in the columns of the model: needs, obj, act, eft, when.

    `when` names the rule whose condition it is, as `file:line`; empty for none.
    """
    for (resource, action), rules in index.items():
        for rule in rules:
            when = rule.place if rule.condition else ""
            yield " ".join(sorted(rule.needs)), resource, action, rule.effect, when
