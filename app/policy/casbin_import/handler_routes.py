"""The routes of a team's own handlers, which the application serves: rows are about no other route of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.policy.casbin_import.carried_rule import CarriedRule
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.policy_texts import merged
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import Policy
from app.policy.language.source import shown
from app.policy.routing.routes import RouteTable, is_route

MAX_SPLIT = 100_000  # rows that name single routes
MAX_SHOWN = 20


def check_handlers(handlers: RouteTable, base: Policy, table: RouteTable) -> None:
    """Check that rows can name these routes alone, and that no row of the base opens one.

    Raises ImportRefused, and PolicyRefused for rows of the base.
    `table` has all routes of the application. OPTIONS, which says what methods there are, is left to the base.
    """
    own = frozenset(handlers.templates)
    shared = [
        template
        for template in handlers.templates
        if not own.issuperset(table.match(template))
        or {*table.methods(template)} - {*handlers.methods(template), "OPTIONS"}
    ]
    if shared:
        message = f"a row for `{shared[0]}` would be about other endpoints of authz, too"
        raise ImportRefused([Fault.of_file("route", ".", message, "choose another path for this handler")])
    faults = []
    for rule in base.rules:
        if rule.effect == "deny" or not is_route(rule.resource):
            continue
        for template in table.match(rule.resource):
            methods = {*rule.actions}.intersection(handlers.methods(template)) - {"OPTIONS"}
            if methods:
                message = f"the policy that the rows are added to opens {min(methods)} `{template}` already"
                hint = "delete this row: those of Casbin take its place"
                text = shown(str(rule))
                faults.append(Fault("route", rule.file, rule.line, 1, message, hint, len(text), text))
                break
    if faults:
        raise PolicyRefused(faults[:MAX_SHOWN])


def of_handlers_alone(
    rules: Sequence[tuple[CarriedRule, tuple[CasbinRow, ...]]], handlers: RouteTable, table: RouteTable
) -> list[tuple[CarriedRule, tuple[CasbinRow, ...]]]:
    """The rules, with one for each route in place of a pattern that other routes have, too. Raises ImportRefused."""
    found: list[CarriedRule] = []
    own = frozenset(handlers.templates)
    for rule, sources in rules:
        is_shared = rule.route is not None and not own.issuperset(table.match(rule.resource))
        for each in _by_route(rule, handlers) if is_shared else (rule,):
            found += (replace(each, source=source) for source in sources)
            if len(found) > len(rules) + MAX_SPLIT:
                message = f"more than {MAX_SPLIT:,} rows would be necessary, since other endpoints of authz match them"
                hint = "choose a first segment for your handlers that no endpoint of authz has"
                raise ImportRefused([Fault("route", rule.source.file, rule.source.line, 1, message, hint)])
    return merged(found)


def _by_route(rule: CarriedRule, handlers: RouteTable) -> Iterator[CarriedRule]:
    for template in handlers.match(rule.resource):
        actions = tuple(action for action in rule.actions if action in handlers.methods(template))
        if actions:
            yield replace(rule, resource=template, actions=actions)
