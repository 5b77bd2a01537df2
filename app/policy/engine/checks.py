"""Checks a policy against the route table, in both directions: faults that Casbin would accept silently."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from app.policy.engine.app_checks import app_faults
from app.policy.engine.lockout import lockout
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import params_of
from app.policy.language.fault import Fault, NearWords
from app.policy.language.grants import NearRoles, excludes, known_roles
from app.policy.language.load import Policy
from app.policy.language.placement import DocumentLines, Neighbours, fault_at_rule
from app.policy.language.rule import Rule, distinct_terms
from app.policy.language.when.condition import Condition, ConditionError
from app.policy.routing.routes import METHODS, is_route, segments, widened
from app.policy.routing.segment import composite, is_composite, shape, values_in

MAX_FAULTS = 100
_READS, _WRITES = ("GET", "HEAD", "QUERY"), ("POST", "PUT", "PATCH", "DELETE")
_WITHOUT_BRACES = str.maketrans("", "", "{}")
_ROLE = re.compile(r"\brole:[a-z][a-z0-9_-]*")


def check(snapshot: Snapshot) -> list[Fault]:
    """Check a policy against its route table; returns at most MAX_FAULTS faults of each kind."""
    return [
        *islice(_dead_rows(snapshot), MAX_FAULTS),
        *islice(_narrow_denies(snapshot), MAX_FAULTS),
        *islice(_unheld_rows(snapshot.policy), MAX_FAULTS),
        *islice(_undefined_roles(snapshot.policy), MAX_FAULTS),
        *islice(_unruled_routes(snapshot), MAX_FAULTS),
        *islice(_idle_denies(snapshot), MAX_FAULTS),
        *islice(app_faults(snapshot), MAX_FAULTS),
        *lockout(snapshot),
    ]


def _dead_rows(snapshot: Snapshot) -> Iterator[Fault]:
    """Rows that match no route: a deny of that kind would close nothing."""
    policy, table = snapshot.policy, snapshot.table
    index = snapshot.index
    near = NearWords(table.templates)
    patterns = {
        (rule.resource, action) for (name, action), rules in index.items() for rule in rules if rule.resource != name
    }
    for rule in policy.rules:
        keys = [(rule.resource, action) for action in rule.terms.actions]
        dead = [key[1] for key in keys if key not in index and key not in patterns]
        if not dead:
            continue
        templates = table.match(rule.resource)
        if not templates:
            if table.match(wide := widened(rule.resource)):
                hint = f"`{{…}}` matches only a parameter of the route; `{wide}` matches literal segments too"
            else:
                hint = near.hint(rule.resource) or (
                    "`authz policy routes` lists the routes, with those of your handlers if AUTHZ_ROUTES is set; rules "
                    "name templates, such as `/orders/{order_id}`"
                )
            if rule.resource in table.closed:
                hint = "its OpenAPI document is ambiguous about this path: see the findings about the document"
            yield fault_at_rule(
                rule, policy, "dead-row", f"no route matches `{rule.resource}`", hint, word=rule.resource
            )
            continue
        methods = {method for template in templates for method in table.actions(template)}
        for action in dead:
            message = f"no route that matches `{rule.resource}` has the method {action}"
            hint = f"they have {', '.join(sorted(methods))}"
            yield fault_at_rule(rule, policy, "dead-action", message, hint, word=action)


def _narrow_denies(snapshot: Snapshot) -> Iterator[Fault]:
    """Denies of a parameter that leave open a route with a literal segment in its place.

    A deny of `/orders/{id}` may be meant for `/orders/export` too, and such a route may be added later.
    """
    table, index = snapshot.table, snapshot.index
    for rule in snapshot.policy.rules:
        if rule.terms.effect == "allow" or "{" not in rule.resource or not rule.is_route:
            continue
        wide = widened(rule.resource)
        every = "/".join("*" if "{" in part else part for part in rule.resource.split("/"))
        named = frozenset(table.match(rule.resource))
        if not named:
            continue  # a dead row
        left = [
            f"{action} {template}"
            for template in table.match(every)
            if template not in named and _is_sibling(template, rule.resource)
            for action in rule.actions
            if is_left_open(rule, index.get((template, action), ()), snapshot.effective(rule.needs))
        ]
        if left:
            also = f" and {len(left) - 1} more" if len(left) > 1 else ""
            message = f"this deny matches only parameters: it leaves out {left[0]}{also}, which a row allows"
            if wide == rule.resource:
                hint = "deny that too, or narrow the row that allows it"
            else:
                hint = (
                    f"write `{wide}` to deny both; to deny only the parameter, add a condition, see policies/README.md"
                )
            yield fault_at_rule(rule, snapshot.policy, "narrow-deny", message, hint, word=rule.resource)


def _is_sibling(template: str, pattern: str) -> bool:
    """Whether a template has literal text that a pattern's composite segments match: `all.json` for `{x}.json`."""
    for part, other in zip(segments(pattern), segments(template), strict=False):
        if not is_composite(part) or shape(part) == shape(other):
            continue
        if is_composite(other):
            if not composite(part).meets(composite(other)):
                return False
        elif "{" in other or values_in(part, other) is None:
            return False
    return True


def is_left_open(deny: Rule, rules: Sequence[Rule], held: frozenset[str]) -> bool:
    """Whether rules allow it, and none denies it, to a caller with `held` to whom a deny of something else applies."""
    return any(
        rule.effect == "allow" and not any(excludes(deny.needs, grant) for grant in rule.needs) for rule in rules
    ) and not any(
        rule.effect == "deny" and rule.needs <= held and rule.condition in (None, deny.condition) for rule in rules
    )


def _unheld_rows(policy: Policy) -> Iterator[Fault]:
    """Rows whose needs no caller can hold: a misspelt role in a deny would open what it should close."""
    roles = known_roles(policy.memberships)
    near = NearRoles(roles)
    fine: set[frozenset[str]] = set()
    for rule in policy.rules:
        if rule.terms.needs in fine:
            continue
        for grant in sorted(rule.needs):
            if grant.startswith("role:") and grant not in roles:
                hint = near.hint(grant) or f"define it with a `g` row, such as `g, user:user_2abc, {grant}`"
                yield fault_at_rule(rule, policy, "unknown-role", f"no `g` row defines `{grant}`", hint, word=grant)
                break
            if excludes(rule.needs - {grant}, grant):
                message = f"no caller can hold `{grant}` together with the other facts of this row"
                hint = "write a row for each fact; rows are alternatives"
                yield fault_at_rule(rule, policy, "never-held", message, hint, word=grant)
                break
        else:
            fine.add(rule.needs)


def _undefined_roles(policy: Policy) -> Iterator[Fault]:
    """Roles that rows assign and that have no effect: no row needs or reads them, and no `g` row extends them."""
    defined = {row.member for row in policy.memberships if row.member.startswith("role:")}
    for terms in distinct_terms(policy.rules):
        defined.update(grant for grant in terms.needs if grant.startswith("role:"))
        if terms.condition:
            defined.update(_ROLE.findall(terms.condition.text))
    near = NearRoles(defined)
    for row in policy.memberships:
        if row.grant.startswith("role:") and row.grant not in defined:
            message = f"`{row.grant}` is not defined: no `p` row needs it, and no `g` row adds a grant to it"
            hint = near.hint(row.grant) or (
                f"correct the name, define it with a row such as `g, {row.grant}, catalog:read`, or delete this row"
            )
            text = policy.source.line(row.file, row.line)
            column = max(text.rfind(row.grant), 0) + 1
            yield Fault("unknown-role", row.file, row.line, column, message, hint, len(row.grant), text)


def _unruled_routes(snapshot: Snapshot) -> Iterator[Fault]:
    """Routes that no row covers: the policy must state who may use them."""
    table = snapshot.table
    unruled = {
        template: methods
        for template in table.templates
        if (methods := [method for method in table.methods(template) if not _is_ruled(snapshot, template, method)])
    }
    if not unruled:
        return
    siblings = _siblings(snapshot)
    documents, neighbours = DocumentLines(snapshot.policy), None
    is_without_sample = table.sample <= unruled.keys()  # a policy for another API, read without the setting
    for template, methods in unruled.items():
        message = f"no rule covers {', '.join(methods)} {template}"
        hint = f"add {' and '.join(_missing_rows(template, methods))}"
        if denies := snapshot.index.get((template, methods[0])):
            hint += f"; {denies[0].place} denies it under a condition only"
        elif rule := siblings.get(template):
            hint += f"; in {rule.place} `{{…}}` matches only parameters, where `*` would match both"
        if is_without_sample and template in table.sample:
            hint = f"set AUTHZ_SAMPLE_API=false to leave out the sample API, or {hint}"
        found = documents.fault(template, "unruled-route", message, hint)
        if found is None:
            neighbours = neighbours or Neighbours(snapshot.policy)
            found = neighbours.fault(template, "unruled-route", message, hint)
        yield found


def _is_ruled(snapshot: Snapshot, template: str, method: str) -> bool:
    """Whether a row allows an endpoint, or denies it whatever the request: a deny of some says nothing about others."""
    rules = snapshot.index.get((template, method), ())
    return any(rule.terms.effect == "allow" or rule.terms.condition is None for rule in rules) or any(
        _is_met_by_path(rule.condition, template) for rule in rules if rule.condition
    )


def _is_met_by_path(condition: Condition, template: str) -> bool:
    """Whether the path alone meets a condition, as `has(params.id)` does where the route has this parameter."""
    try:
        return condition.met({"params": params_of(template, template.translate(_WITHOUT_BRACES))})
    except ConditionError:
        return False


def _missing_rows(template: str, methods: Sequence[str]) -> list[str]:
    """A row for each kind of methods: one row for all of them would let everyone who may read write too."""
    kinds: dict[str, list[str]] = {}
    for method in sorted(methods, key=METHODS.index):
        kind = "reads" if method in _READS else "writes" if method in _WRITES else method
        kinds.setdefault(kind, []).append(method)
    return [
        f"`p, <grants{f' for {kind}' if len(kinds) > 1 else ''}>, {template}, {'|'.join(of_kind)}, allow`"
        for kind, of_kind in kinds.items()
    ]


def _siblings(snapshot: Snapshot) -> dict[str, Rule]:
    """Templates with literal text in the place of a row's parameter, each with such a row."""
    found: dict[str, Rule] = {}
    seen: set[str] = set()
    for rule in snapshot.policy.rules:
        if rule.is_route and rule.resource not in seen and (wide := widened(rule.resource)) != rule.resource:
            seen.add(rule.resource)
            for template in snapshot.table.match(wide):
                found.setdefault(template, rule)
    return found


def _idle_denies(snapshot: Snapshot) -> Iterator[Fault]:
    """Denies of things that no row allows: there is no table of things, so this finds misspelt ones."""
    denies = [rule for rule in snapshot.policy.rules if rule.terms.effect == "deny" and not rule.is_route]
    if not denies:
        return
    allowed = {
        key
        for key, rules in snapshot.index.items()
        if not key[0].startswith("/") and any(rule.effect == "allow" for rule in rules)
    }
    near = NearWords({resource for resource, _ in allowed if not is_route(resource)})
    kinds = {(resource.partition(":")[0], action) for resource, action in allowed}
    types = {kind for kind, _ in kinds}
    for rule in denies:
        for action in rule.actions:
            if (rule.resource, action) not in allowed and (rule.resource, action) not in kinds:
                message = f"no row allows `{action}` on `{rule.resource}`, so this deny closes nothing"
                # Of a known kind it is the action that is misspelt: the thing would be a hint at itself.
                is_known = rule.resource.partition(":")[0] in types
                hint = "" if is_known else near.hint(rule.resource)
                hint = hint or "delete it, or correct the spelling"
                yield fault_at_rule(rule, snapshot.policy, "idle-deny", message, hint, word=action)
