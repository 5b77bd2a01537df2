"""All handlers of the application."""

from __future__ import annotations

from litestar import Router
from litestar.types import ControllerRouterHandler

from app.console import (
    account,
    admin_pages,
    assets,
    authorize,
    consent,
    errors,
    home,
    key_changes,
    keys,
    new_key,
    own_apps,
    sign_in,
)
from app.console.forms import only_own_forms
from app.griddy import catalog, holdings
from app.http.api import (
    admin_actions,
    api_keys,
    authzen,
    beyond_owner,
    decisions,
    docs,
    health,
    history,
    introspection,
    metadata,
    oauth,
    owner_keys,
    policies,
    replay,
    replicas,
    reverse,
    shadow,
)
from app.http.api.explain import explain_decision
from app.http.api.metrics import show_metrics
from app.http.api.openapi import openapi_json
from app.http.door.long_work import in_turn

PAGES: list[ControllerRouterHandler] = [
    home.home,
    assets.asset,
    *sign_in.ROUTES,
    *account.ROUTES,
    authorize.authorize,
    *consent.ROUTES,
    *own_apps.ROUTES,
    *new_key.ROUTES,
    *key_changes.ROUTES,
    Router("/", route_handlers=[*keys.ROUTES, *admin_pages.ROUTES], middleware=[in_turn]),
]


def handlers() -> list[ControllerRouterHandler]:
    """The handlers of the application. Rows of the policy decide who may call them.

    After a change run `scripts/declare_routes.py`, which writes the routes that commands read.
    """
    return [
        *catalog.ROUTES,
        *holdings.ROUTES,
        *api_keys.ROUTES,
        owner_keys.revoke_all,
        beyond_owner.list_beyond_owner,
        policies.show_policy,
        policies.reload_policy,
        *history.ROUTES,
        replicas.list_replicas,
        *shadow.ROUTES,
        replay.replay_policy,
        explain_decision,
        *reverse.ROUTES,
        *decisions.ROUTES,
        admin_actions.list_admin_actions,
        introspection.introspect,
        *metadata.ROUTES,
        *oauth.ROUTES,
        *authzen.ROUTES,
        health.healthz,
        health.readyz,
        show_metrics,
        openapi_json,
        docs.docs,
        docs.docs_style,
        Router(
            "/",
            route_handlers=PAGES,
            before_request=only_own_forms,
            exception_handlers=errors.HANDLERS,
            include_in_schema=False,
        ),
    ]
