"""Writes the application's routes to app/http/declared_routes.py, from which the command line reads them.

Run it after adding, moving or removing a route: .venv/bin/python scripts/declare_routes.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from app.asgi import route_table
from app.http.declared_routes import declaration

FILE = ROOT / "app" / "http" / "declared_routes.py"


def rewritten(text: str) -> str:
    """The module with the routes that the application has now."""
    head, start, rest = text.partition('_ROUTES = """\\\n')
    _, end, tail = rest.partition('"""\n')
    return head + start + declaration(route_table()) + end + tail


if __name__ == "__main__":
    FILE.write_text(rewritten(FILE.read_text(encoding="utf-8")), encoding="utf-8")
