"""Writes the application's routes to files in app/http/, from which the command line reads them.

Run it after adding, moving or removing a route: .venv/bin/python -m scripts.declare_routes
"""

from __future__ import annotations

from app.assembly import route_table
from app.http.declared_routes import FILE, SAMPLE_FILE, declaration

if __name__ == "__main__":
    own = route_table(sample=False)
    FILE.write_text(declaration(own.routes), encoding="utf-8")
    SAMPLE_FILE.write_text(declaration(route for route in route_table().routes if route not in own), encoding="utf-8")
