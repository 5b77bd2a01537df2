"""The routes that the command line reads are those of the application."""

from __future__ import annotations

from app import asgi
from app.http import declared_routes


def test_the_declared_routes_are_those_of_the_application() -> None:
    assert declared_routes.route_table().routes == asgi.route_table().routes, "run scripts/declare_routes.py"


def test_the_declared_routes_are_written_unchanged() -> None:
    assert declared_routes.declaration(asgi.route_table()) == declared_routes.FILE.read_text(encoding="utf-8")
