"""The JSON document of `authz policy routes`."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from app.policy.engine.snapshot import Snapshot
from app.policy.language.row_view import RowView
from app.policy.language.rule import Effect
from app.policy.routing.routes import Route


class RouteRule(RowView, frozen=True):
    """A row about an endpoint."""

    needs: list[str]
    effect: Effect
    when: Annotated[str | None, Meta(description="The condition of the row.")]


class RouteView(Struct, frozen=True):
    """An endpoint and the rows about it."""

    method: str
    template: str
    rules: list[RouteRule]


class PolicyRoutes(Struct, frozen=True):
    """What each endpoint needs."""

    revision: str
    routes: list[RouteView]


def route_view(snapshot: Snapshot, route: Route) -> RouteView:
    """View an endpoint with its rows."""
    rules: list[RouteRule] = []
    for rule in snapshot.rules_for(route.template, route.method):
        at, when = rule.view, rule.condition.text if rule.condition else None
        rules.append(RouteRule(at.file, at.line, at.column, at.row, sorted(rule.needs), rule.effect, when))
    return RouteView(route.method, route.template, rules)
