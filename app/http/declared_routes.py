"""The application's routes, for commands: reading them from the application would take ten times as long as a check.

A test compares them with the application, and `scripts/declare_routes.py` writes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from app.policy.routing.routes import Route, RouteTable

FILE = Path(__file__).with_suffix(".txt")
SAMPLE_FILE = FILE.with_name("declared_sample_routes.txt")


def route_table(*, sample: bool = True) -> RouteTable:
    """The route table, with or without the sample API, for commands that do not start the application."""
    own = _routes(FILE)
    return RouteTable([*own, *_routes(SAMPLE_FILE)], sample=sample_templates()) if sample else RouteTable(own)


def sample_templates() -> frozenset[str]:
    """The templates of the sample API."""
    return frozenset(route.template for route in _routes(SAMPLE_FILE))


def _routes(file: Path) -> list[Route]:
    lines = (line.split() for line in file.read_text(encoding="utf-8").splitlines())
    return [Route(template, method) for template, *methods in lines for method in methods]


def declaration(routes: Iterable[Route]) -> str:
    """Sorted routes as text: a template and its methods on each line."""
    grouped = groupby(routes, key=lambda route: route.template)
    return "".join(f"{template} {' '.join(route.method for route in routes)}\n" for template, routes in grouped)
