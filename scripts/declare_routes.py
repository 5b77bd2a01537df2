"""Writes the application's routes to app/http/declared_routes.py, from which the command line reads them.

Run it after adding, moving or removing a route: .venv/bin/python -m scripts.declare_routes
"""

from __future__ import annotations

from pathlib import Path

from app.asgi import route_table
from app.http.declared_routes import declaration

FILE = Path(__file__).parents[1] / "app" / "http" / "declared_routes.py"


def rewritten(text: str) -> str:
    """The module with the routes that the application has now."""
    head, start, rest = text.partition('_ROUTES = """\\\n')
    _, end, tail = rest.partition('"""\n')
    return head + start + declaration(route_table()) + end + tail


if __name__ == "__main__":
    FILE.write_text(rewritten(FILE.read_text(encoding="utf-8")), encoding="utf-8")
