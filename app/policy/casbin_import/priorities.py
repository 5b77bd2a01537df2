"""States the first-match order of Casbin's priority effect where a deny beats every allow.

A deny behind an allow gets a condition that excepts the holders of what the allow needs. Where the allow covers only a
part of the deny, the deny stays as it is, which is wider.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from app.policy.casbin_import.carried_rule import CarriedRule
from app.policy.casbin_import.translation import Translation

MAX_CONDITION = 2_500  # characters
MAX_COMPARED = 3_000_000  # pairs of a deny and an allow


def apply_order(found: Translation) -> None:
    """Give each deny of the rules the exceptions that its place in the order implies."""
    allows = [rule for rule in found.rules if rule.effect == "allow"]
    things: dict[str, list[CarriedRule]] = defaultdict(list)
    for rule in allows:
        if rule.route is None:
            things[rule.resource].append(rule)
    routes = [rule for rule in allows if rule.route is not None]
    denies = sum(rule.effect == "deny" and rule.route is not None for rule in found.rules)
    is_large = denies * len(routes) > MAX_COMPARED
    rules: list[CarriedRule] = []
    for rule in found.rules:
        if rule.effect == "allow":
            rules.append(rule)
            continue
        near = things[rule.resource] if rule.route is None else [] if is_large else routes
        rules += _with_exceptions(rule, near, found, is_unknown=is_large and rule.route is not None)
    found.rules = rules


def _with_exceptions(
    deny: CarriedRule, allows: Iterable[CarriedRule], found: Translation, *, is_unknown: bool
) -> list[CarriedRule]:
    exceptions: dict[str, list[frozenset[str]]] = {action: [] for action in deny.actions}
    is_wider = is_unknown
    for allow in allows:
        if allow.order >= deny.order or not set(allow.actions) & exceptions.keys():
            continue
        is_covered = True  # the same thing
        if allow.route is not None and deny.route is not None:
            if not allow.route.overlaps(deny.route):
                continue
            is_covered = allow.route.covers(deny.route)
        if not allow.is_exact or not is_covered:
            is_wider = True
            continue
        for action in set(allow.actions) & exceptions.keys():
            exceptions[action].append(allow.needs)
    alike: dict[tuple[frozenset[str], ...], list[str]] = defaultdict(list)
    for action in deny.actions:
        alike[tuple(dict.fromkeys(exceptions[action]))].append(action)
    rules = []
    for excepted, actions in alike.items():
        if any(needs <= deny.needs or needs == {"auth:jwt"} for needs in excepted):
            message = f"an earlier row allows {'|'.join(actions)} to all whom this deny is about"
            found.note("no-effect", "order", deny.source, message)
            continue
        condition = condition_of(excepted)
        if len(condition) > MAX_CONDITION:
            is_wider, condition = True, ""
        rules.append(replace(deny, actions=tuple(actions), condition=condition, is_wider=deny.is_wider or is_wider))
    if is_wider:
        message = "an earlier row allows a part of what this deny is about; the deny beats it here"
        found.note("wider-deny", "order", deny.source, message, "write rows for the part that should stay allowed")
    return rules


def condition_of(excepted: Sequence[frozenset[str]]) -> str:
    """The condition that is met by callers who hold none of these."""
    return " && ".join(
        "!(" + " && ".join(f"{_quoted(grant)} in subject.permissions" for grant in sorted(needs)) + ")"
        for needs in excepted
    )


def _quoted(grant: str) -> str:
    return "'" + grant.replace("\\", "\\\\").replace("'", "\\'") + "'"
