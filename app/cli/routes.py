"""The routes of the application, for commands that do not serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.settings import load_local

if TYPE_CHECKING:
    from app.policy.routing.routes import RouteTable


def route_table() -> RouteTable:
    """The routes of the application with the settings of the environment. Raises SettingsError."""
    settings = load_local()
    if settings.routes:
        from app import assembly  # takes a second

        return assembly.route_table(sample=settings.sample_api, routes=settings.routes)
    from app.http import declared_routes

    return declared_routes.route_table(sample=settings.sample_api)


def handler_routes() -> RouteTable | None:
    """The routes of the handlers of AUTHZ_ROUTES alone; None without them. Raises SettingsError."""
    from app.http import declared_routes
    from app.policy.routing.routes import RouteTable

    settings = load_local()
    if not settings.routes:
        return None
    others = declared_routes.route_table(sample=settings.sample_api)
    return RouteTable(route for route in route_table().routes if route not in others)
