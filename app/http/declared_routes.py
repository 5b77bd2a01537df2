"""The application's routes, for commands: to learn them from the application takes ten times as long as a whole check.

A test compares them with the application, and `scripts/declare_routes.py` writes them.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from app.policy.routing.routes import Route, RouteTable

FILE = Path(__file__).with_suffix(".txt")


def route_table() -> RouteTable:
    """The routes, for a command that reads a policy without serving it."""
    lines = (line.split() for line in FILE.read_text(encoding="utf-8").splitlines())
    return RouteTable(Route(template, method) for template, *methods in lines for method in methods)


def declaration(table: RouteTable) -> str:
    """These routes as text: a template and its methods on each line."""
    grouped = groupby(table.routes, key=lambda route: route.template)
    return "".join(f"{template} {' '.join(route.method for route in routes)}\n" for template, routes in grouped)
