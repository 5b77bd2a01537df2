"""The application's routes, for commands: reading them from the application would take ten times as long as a check.

A test compares them with the application, and `scripts/declare_routes.py` writes them.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from app.policy.routing.routes import Route, RouteTable

FILE = Path(__file__).with_suffix(".txt")


def route_table() -> RouteTable:
    """The route table, for commands that read a policy without starting the application."""
    lines = (line.split() for line in FILE.read_text(encoding="utf-8").splitlines())
    return RouteTable(Route(template, method) for template, *methods in lines for method in methods)


def declaration(table: RouteTable) -> str:
    """A route table as text: a template and its methods on each line."""
    grouped = groupby(table.routes, key=lambda route: route.template)
    return "".join(f"{template} {' '.join(route.method for route in routes)}\n" for template, routes in grouped)
