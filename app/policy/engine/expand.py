"""Expands rows: a pattern becomes one row for each route that it matches, a type one for each named thing.

Rules are then found by equality alone; no request matches a path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

from app.policy.engine.rule_index import Applying, Index, Key, RuleIndex
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.rule import Rule
from app.policy.language.when.read import Path
from app.policy.routing.routes import RouteTable, is_route

MAX_EXPANDED = 1_000_000
MAX_REACH_KNOWN = 5_000  # resources with actions whose keys are cached during expansion

# Condition variables that contain the method.
_METHOD: frozenset[Path] = frozenset({("request", "method"), ("action", "name"), ("request",), ("action",)})


def expand(rules: Iterable[Rule], table: RouteTable) -> RuleIndex:
    """Index the rules by each (resource, action) that they name. Raises PolicyRefused for more than MAX_EXPANDED."""
    rules = tuple(rules)
    index: dict[str, dict[str, Applying | list[Rule]]] = {}
    things = _things(rules)
    reach: dict[tuple[str, tuple[str, ...]], tuple[Key, ...]] = {}
    count = 0
    for rule in rules:
        target = (rule.resource, rule.terms.actions)
        keys = reach.get(target)
        if keys is None:
            if len(reach) >= MAX_REACH_KNOWN:
                reach.clear()
            keys = reach[target] = tuple(_keys(rule, table, things))
        count += len(keys)
        if count > MAX_EXPANDED:
            message = (
                f"with this row the policy has more than {MAX_EXPANDED} rows, expanded over all routes that they match"
            )
            hint = "cover many resources with fewer rows"
            raise PolicyRefused([Fault("too-wide", rule.file, rule.line, 1, message, hint, text=str(rule))])
        for_head = _for_head(rule)
        for resource, action in keys:
            applying = for_head if action == "HEAD" else rule
            by_resource = index.get(action)
            if by_resource is None:
                by_resource = index[action] = {}
            found = by_resource.get(resource)
            if found is None:
                by_resource[resource] = applying
            elif isinstance(found, list):
                found.append(applying)
            else:
                by_resource[resource] = [cast(Rule, found), applying]
    for by_resource in index.values():
        for resource, found in by_resource.items():
            if isinstance(found, list):
                by_resource[resource] = tuple(found)
    return RuleIndex(cast(dict[str, dict[str, Applying]], index))


def key_of(resource: str, action: str, index: Index) -> Key | None:
    """The key of the rules that apply to an action on a resource; None if there are none.

    The rules of a type apply to a thing that no row names. A route has only its own rules.
    """
    if (resource, action) in index:
        return resource, action
    kind, _, name = resource.partition(":")
    if name and not is_route(resource) and (kind, action) in index:
        return kind, action
    return None


def rows(index: Index) -> Iterator[tuple[str, str, str, str, str]]:
    """The expanded rows in the columns of the model: needs, obj, act, eft, when.

    `when` is the `file:line` of the rule, empty if it has no condition.
    """
    needs: dict[frozenset[str], str] = {}
    for (resource, action), rules in index.items():
        for rule in rules:
            text = needs.get(rule.needs)
            if text is None:
                text = needs[rule.needs] = " ".join(sorted(rule.needs))
            yield text, resource, action, rule.effect, rule.place if rule.condition is not None else ""


def _keys(rule: Rule, table: RouteTable, things: Mapping[str, tuple[str, ...]]) -> Iterator[Key]:
    if rule.is_route:
        named = rule.terms.actions
        for template in table.match(rule.resource):
            actions = table.actions(template)
            yield from ((template, action) for action in named if action in actions)
            if _implies_head(named, actions, table.methods(template)):
                yield template, "HEAD"
    else:
        for thing in (rule.resource, *things.get(rule.resource, ())):
            yield from ((thing, action) for action in rule.actions)


def _for_head(rule: Rule) -> Rule:
    """The rule for a HEAD that is implied by GET: a deny whose condition reads the method applies unconditionally.

    Such a condition is meant for GET and would not be met by HEAD, which reveals the headers of GET. An allow keeps
    its condition, so it opens no more than it states.
    """
    terms = rule.terms
    if terms.effect == "allow" or terms.condition is None or "HEAD" in terms.actions or "GET" not in terms.actions:
        return rule
    reads = {read.path[:2] for read in terms.condition.reads.values()}
    return rule if reads.isdisjoint(_METHOD) else replace(rule, terms=replace(terms, condition=None))


def _implies_head(named: Sequence[str], actions: Sequence[str], documented: Sequence[str]) -> bool:
    """Whether a row for GET applies to HEAD too: if the document of an upstream leaves HEAD out."""
    return "GET" in named and "HEAD" not in named and "HEAD" in actions and "HEAD" not in documented


def _things(rules: Iterable[Rule]) -> Mapping[str, tuple[str, ...]]:
    """The named things of each type, to which the rules of the type apply too."""
    things: dict[str, dict[str, None]] = {}
    for rule in rules:
        if not rule.is_route and ":" in rule.resource:
            things.setdefault(rule.resource.partition(":")[0], {})[rule.resource] = None
    return {kind: tuple(names) for kind, names in things.items()}
