"""Detects lock-outs: policies under which no caller, or none that is known to exist, can replace the policy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, product

from app.identity.org_facts import ORG_FACTS
from app.identity.principal import ANYONE, is_fact
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault
from app.policy.language.grants import excludes
from app.policy.language.placement import Neighbours, fault_at_rule
from app.policy.language.rule import Rule
from app.policy.language.when.condition import NO_CONTEXT, ConditionError
from app.policy.routing.routes import Route

MAX_WAYS = 1000
RELOAD = Route("/api/v1/policies/reload", "POST")
PUBLISH = Route("/api/v1/policies/publish", "POST")
NAMED = ("user:", "key:", *ORG_FACTS)  # facts of few callers, which a row may misspell
_CALLERS = (
    frozenset({ANYONE, "auth:jwt"}),
    frozenset({ANYONE, "auth:api_key", "env:live"}),
    frozenset({ANYONE, "auth:api_key", "env:test"}),
)


def lockout(snapshot: Snapshot) -> list[Fault]:
    """A fault if no caller could reload this policy; none for an application without the reload route."""
    if RELOAD not in snapshot.table or any(True for _ in _openings(snapshot, RELOAD)):
        return []
    rules = snapshot.rules_for(RELOAD.template, RELOAD.method)
    denies = [rule for rule in rules if rule.effect == "deny" and _always(rule)]
    message = "under this policy no caller could reload the policy"
    if denies and any(_may_allow(rule) for rule in rules):
        return [fault_at_rule(rule, snapshot.policy, "lock-out", message, "make this deny narrower") for rule in denies]
    hint = f"add `p, policies:write, {RELOAD.template}, {RELOAD.method}, allow`"
    return [Neighbours(snapshot.policy).fault(RELOAD.template, "lock-out", message, hint)]


def named_publishers(snapshot: Snapshot) -> list[frozenset[str]] | None:
    """The `user:` and `key:` facts through which callers can publish, one set for each way.

    None if a caller that no row names can publish too, with a permission of its token or key. An empty list if no
    caller can.
    """
    found: dict[frozenset[str], None] = {}
    for held in _openings(snapshot, PUBLISH):
        named = frozenset(grant for grant in held if grant.startswith(NAMED))
        if not named:
            return None
        found[named] = None
    return list(found)


def unproven_publishers(snapshot: Snapshot) -> list[Fault]:
    """A fault at the row that opens publishing if only callers that rows name can publish."""
    ways = named_publishers(snapshot)
    if not ways:
        return []
    facts = sorted(frozenset[str]().union(*ways))
    more = f" and {len(facts) - 3} more" if len(facts) > 3 else ""
    message = f"only callers that rows name could publish a policy ({', '.join(facts[:3])}{more}), if they exist"
    hint = "compare the names with the decision log, or allow it with a permission too; a misspelled name is a lock-out"
    rule = next(rule for rule in snapshot.rules_for(PUBLISH.template, PUBLISH.method) if _may_allow(rule))
    return [fault_at_rule(rule, snapshot.policy, "unproven-publishers", message, hint)]


def _openings(snapshot: Snapshot, route: Route) -> Iterator[frozenset[str]]:
    """The grants of callers who have access, or may have it if a condition reads the request."""
    rules = snapshot.rules_for(route.template, route.method)
    certain = [rule.needs for rule in rules if rule.effect == "deny" and _always(rule)]
    for allow in filter(_may_allow, rules):
        for held in _holders(snapshot, allow.needs):
            if not any(needs <= held for needs in certain):
                yield held


def _may_allow(rule: Rule) -> bool:
    return rule.effect == "allow" and _always(rule) is not False


def _holders(snapshot: Snapshot, needs: frozenset[str]) -> Iterator[frozenset[str]]:
    """The grants of callers of each kind who state exactly the needs; a role is never stated."""
    stated = frozenset(grant for grant in needs if not grant.startswith("role:"))
    sources = [_sources(snapshot, role) for role in sorted(needs - stated)]
    for caller in _CALLERS:
        for chosen in islice(product(*sources), MAX_WAYS):
            held = stated.union(caller, chosen)
            if not any(excludes(held, fact) for fact in held if is_fact(fact)):
                yield snapshot.effective(held)


def _sources(snapshot: Snapshot, role: str) -> list[str]:
    """The stated grants that lead to a role, those that many callers can hold first."""
    members: dict[str, list[str]] = {}
    for row in snapshot.policy.memberships:
        members.setdefault(row.grant, []).append(row.member)
    found = {role: None}
    todo = [role]
    while todo:
        for member in members.get(todo.pop(), ()):
            if member not in found:
                found[member] = None
                todo.append(member)
    return sorted(
        (grant for grant in found if not grant.startswith("role:")), key=lambda grant: grant.startswith(NAMED)
    )


def _always(rule: Rule) -> bool | None:
    """Whether a rule applies to every caller that holds its needs; None if that depends on the request.

    If a condition fails for every request, an allow never applies and a deny always does.
    """
    if rule.condition is None:
        return True
    try:
        return rule.condition.met(NO_CONTEXT)
    except ConditionError:
        return None if rule.condition.reads else rule.effect == "deny"
