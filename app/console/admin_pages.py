"""The routes of the administration pages, one module for each page."""

from __future__ import annotations

from litestar.types import ControllerRouterHandler

from app.console import (
    admin_actions,
    all_keys,
    app_changes,
    completions,
    decisions,
    editor,
    matrix,
    new_app,
    policy,
    publishing,
    registered_apps,
    replicas,
    revisions,
    simulator,
)

ROUTES: list[ControllerRouterHandler] = [
    *policy.ROUTES,
    *matrix.ROUTES,
    *simulator.ROUTES,
    *editor.ROUTES,
    *completions.ROUTES,
    *publishing.ROUTES,
    *revisions.ROUTES,
    *replicas.ROUTES,
    *decisions.ROUTES,
    *all_keys.ROUTES,
    *admin_actions.ROUTES,
    *registered_apps.ROUTES,
    *new_app.ROUTES,
    *app_changes.ROUTES,
]
