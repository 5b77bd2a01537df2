"""Writes the application's routes to app/http/declared_routes.txt, from which the command line reads them.

Run it after adding, moving or removing a route: .venv/bin/python -m scripts.declare_routes
"""

from __future__ import annotations

from app.asgi import route_table
from app.http.declared_routes import FILE, declaration

if __name__ == "__main__":
    FILE.write_text(declaration(route_table()), encoding="utf-8")
