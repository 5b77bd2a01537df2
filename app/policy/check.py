"""A policy held against the route table, both ways: what Casbin would accept in silence is refused here."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from app.identity.principal import ANYONE
from app.policy.fault import Fault, did_you_mean
from app.policy.load import Policy
from app.policy.routes import Route, RouteTable
from app.policy.rule import Rule
from app.policy.snapshot import Snapshot
from app.policy.source import END

MAX_FAULTS = 100

# Whoever may do this can mend a policy; a policy under which nobody may is a lock-out.
RELOAD = Route("/api/v1/policies/reload", "POST")


def check(policy: Policy, table: RouteTable) -> list[Fault]:
    """The faults between a policy and a route table, the first MAX_FAULTS of each kind."""
    return [
        *islice(_dead_rows(policy, table), MAX_FAULTS),
        *islice(_unruled_routes(policy, table), MAX_FAULTS),
    ]


def check_lockout(snapshot: Snapshot) -> list[Fault]:
    """A fault when nobody could reload this policy; none for an application that cannot reload at all."""
    if RELOAD not in snapshot.table:
        return []
    rules = snapshot.rules_for(RELOAD.template, RELOAD.method)
    if any(_opens(snapshot, rule) for rule in rules if rule.effect == "allow"):
        return []
    example = f"p, policies:write, {RELOAD.template}, {RELOAD.method}, allow"
    message = "under this policy nobody could reload the policy"
    if denies := [rule for rule in rules if rule.effect == "deny"]:
        return [
            _at(policy_row, snapshot.policy, "lock-out", message, "make this deny narrower") for policy_row in denies
        ]
    return [_missing(snapshot.policy, RELOAD.template, "lock-out", message, f"add `{example}`")]


def _opens(snapshot: Snapshot, allow: Rule) -> bool:
    """Whether someone who holds just what a rule needs would get through, granted its own condition."""
    for method in ("auth:jwt", "auth:api_key"):
        held = snapshot.effective({*allow.needs, ANYONE, method})
        rivals = {grant for grant in held if grant.startswith("auth:")}
        if rivals != {method}:
            continue
        denies = (rule for rule in snapshot.rules_for(RELOAD.template, RELOAD.method) if rule.effect == "deny")
        if not any(rule.needs <= held and rule.condition is None for rule in denies):
            return True
    return False


def _dead_rows(policy: Policy, table: RouteTable) -> Iterable[Fault]:
    matched: dict[str, tuple[str, ...]] = {}
    for rule in policy.rules:
        if not rule.is_route:
            continue
        if rule.resource not in matched:
            matched[rule.resource] = table.match(rule.resource)
        templates = matched[rule.resource]
        if not templates:
            near = did_you_mean(rule.resource, table.templates)
            hint = (
                near
                or "`authz policy routes` lists the routes; rules name templates, such as `/api/v1/teams/{team_id}`"
            )
            yield _at(rule, policy, "dead-row", f"no route matches `{rule.resource}`", hint, word=rule.resource)
            continue
        methods = {method for template in templates for method in table.methods(template)}
        for action in rule.actions:
            if action not in methods:
                message = f"no route that matches `{rule.resource}` has the method {action}"
                hint = f"they have {', '.join(sorted(methods))}"
                yield _at(rule, policy, "dead-action", message, hint, word=action)


def _unruled_routes(policy: Policy, table: RouteTable) -> Iterable[Fault]:
    ruled = {
        (template, action)
        for pattern, action in {
            (rule.resource, action) for rule in policy.rules if rule.is_route for action in rule.actions
        }
        for template in table.match(pattern)
    }
    for template in table.templates:
        methods = [method for method in table.methods(template) if (template, method) not in ruled]
        if methods:
            row = f"p, <grants>, {template}, {'|'.join(methods)}, allow"
            message = f"no row speaks of {', '.join(methods)} {template}"
            yield _missing(policy, template, "unruled-route", message, f"add `{row}`")


def _missing(policy: Policy, template: str, code: str, message: str, hint: str) -> Fault:
    """A fault of what is not there, placed at the end of the file that speaks of the nearest resources."""
    files = [file for file in policy.source.files if file.endswith(".csv")]
    shared = dict.fromkeys(files, 0)
    for rule in policy.rules:
        common = _shared_prefix(rule.resource, template)
        shared[rule.file] = max(shared.get(rule.file, 0), common)
    file = max(files, key=lambda name: shared[name], default="policy.csv")
    line = policy.source.files.get(file, "").count("\n")
    return Fault(code, file, line, 1, message, hint, len(END), END)


def _shared_prefix(left: str, right: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


def _at(rule: Rule, policy: Policy, code: str, message: str, hint: str, *, word: str = "") -> Fault:
    text = policy.source.line(rule.file, rule.line)
    start = 0
    if word:
        # The word may also be part of the resource: look for it behind the cells that come before.
        start = text.find(rule.resource) + (len(rule.resource) if word != rule.resource else 0)
        start = max(text.find(word, start), 0)
    return Fault(code, rule.file, rule.line, start + 1, message, hint, len(word) or len(text), text)
