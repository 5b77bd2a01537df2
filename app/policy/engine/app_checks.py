"""Checks that no app on behalf of a user can reach keys, the policy, the console or the registry of apps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.identity.app_facts import APP_FACTS, APP_METHOD
from app.identity.principal import ANYONE, is_fact
from app.policy.engine.snapshot import Snapshot
from app.policy.language.ask_rows import is_ask_row
from app.policy.language.fault import Fault
from app.policy.language.placement import fault_at_rule
from app.policy.language.roles import close
from app.policy.language.rule import Rule, distinct_terms

_READS = frozenset({"GET", "HEAD"})
# Where each caller manages its own keys and consents: closed to apps even if it is open to everyone.
_OWN = ("/api/v1/api-keys", "/api/v1/oauth")
# Below these paths callers manage what protects all other routes.
CLOSED_TO_APPS = ("/api/v1/policies", "/api/v1/api-keys", "/api/v1/all-keys", "/api/v1/oauth", "/console")


def app_faults(snapshot: Snapshot) -> Iterator[Fault]:
    """Rows that let an app ask for a scope, or reach a route, that no app may have."""
    policy = snapshot.policy
    opening = list(_opening_rules(snapshot))
    # What a scope can lead to: permissions, and roles by `g` rows.
    leading = {
        need: (rule, key)
        for rule, key in opening
        for need in rule.needs
        if need.startswith("role:") or not is_fact(need)
    }
    for rule in policy.rules:
        if rule.terms.effect != "allow" or not is_ask_row(rule.resource):
            continue
        scope = rule.resource.partition(":")[2]
        led = sorted(close((scope,), policy.roles) & leading.keys())
        if led:
            opened, key = leading[led[0]]
            message = f"no app may have `{scope}`: it opens {key[1]} {key[0]} ({opened.place})"
            yield fault_at_rule(rule, policy, "app-scope", message, "delete this row", word=rule.resource)
    everyones, apps = close((ANYONE,), policy.roles), close(_facts_of_apps(snapshot), policy.roles)
    seen: set[Rule] = set()
    for rule, key in opening:
        if rule in seen or not rule.needs <= apps:
            continue
        is_harmless = rule.needs <= everyones and key[1] in _READS and not _is_below(key[0], _OWN)
        if not is_harmless and not _is_denied_to_apps(snapshot, key):
            seen.add(rule)
            message = f"an app on behalf of a user could {key[1]} {key[0]}, which no app may reach"
            given = [f"`{need}`" for need in sorted(rule.needs - everyones)]
            hint = "require `auth:jwt` too" + (f", or take {' and '.join(given)} from apps" if given else "")
            yield fault_at_rule(rule, policy, "app-reach", message, hint)


def _opening_rules(snapshot: Snapshot) -> Iterator[tuple[Rule, tuple[str, str]]]:
    """The rules that allow something below these paths, each with a key that it applies to."""
    for key, rules in snapshot.index.items():
        if _is_below(key[0], CLOSED_TO_APPS):
            yield from ((rule, key) for rule in rules if rule.effect == "allow" and key[1] != "OPTIONS")


def _is_below(template: str, paths: Iterable[str]) -> bool:
    return any(template == path or template.startswith(f"{path}/") for path in paths)


def _facts_of_apps(snapshot: Snapshot) -> frozenset[str]:
    """Every fact of apps that the policy names, as if one app had them all."""
    named = {grant for each in distinct_terms(snapshot.policy.rules) for grant in each.needs}
    named.update(row.member for row in snapshot.policy.memberships)
    return frozenset([ANYONE, APP_METHOD, *(grant for grant in named if grant.startswith(APP_FACTS))])


def _is_denied_to_apps(snapshot: Snapshot, key: tuple[str, str]) -> bool:
    everywhere = close((ANYONE, APP_METHOD), snapshot.policy.roles)
    return any(
        rule.effect == "deny" and rule.condition is None and rule.needs <= everywhere
        for rule in snapshot.rules_for(*key)
    )
