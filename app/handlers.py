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
    org_keys,
    owner_keys,
    policies,
    replay,
    replicas,
    reverse,
    shadow,
)
from app.http.api.explain import explain_decision
from app.http.api.metrics import retrieve_metrics
from app.http.api.openapi.serving import openapi_json
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

# What the groups of operations in the OpenAPI document are about.
TAGS = {
    "admin log": "Administrative acts: who changed the policy, issued or revoked a key, or signed in to the console.",
    "api keys": "The API keys of a user or an organization, and those of all users for administrators.",
    "apps": "Third-party apps: their registry, what users allow them, and their tokens (OAuth 2.1).",
    "authzen": "Decisions for other services by the OpenID Authorization API (AuthZEN 1.0).",
    "decisions": "The decision log: who asked for what, what was decided and why.",
    "health": "The state of the service, for those who operate it.",
    "policies": "The policy: its files, its history, its meaning, and changes of it.",
    "tokens": "What a token is worth, and how a client gets one.",
}

SAMPLE_SUMMARY = "Football data: a catalog of leagues, teams and games, and holdings, which are what you own."
SAMPLE_TAGS = {**catalog.TAGS, **holdings.TAGS}
SAMPLE: list[ControllerRouterHandler] = [*catalog.ROUTES, *holdings.ROUTES]


def handlers(*, sample: bool = True) -> list[ControllerRouterHandler]:
    """The handlers of the application, with or without the sample API. Rows of the policy decide who may call them.

    After a change run `scripts/declare_routes.py`, which writes the routes that commands read.
    """
    return [
        *(SAMPLE if sample else ()),
        *api_keys.ROUTES,
        *org_keys.ROUTES,
        owner_keys.revoke_owner_api_keys,
        beyond_owner.list_api_keys_beyond_owner,
        policies.retrieve_policy,
        policies.reload_policy,
        *history.ROUTES,
        replicas.list_replicas,
        *shadow.ROUTES,
        replay.replay_policy,
        explain_decision,
        *reverse.ROUTES,
        *decisions.ROUTES,
        admin_actions.list_admin_actions,
        introspection.introspect_token,
        *metadata.ROUTES,
        *oauth.ROUTES,
        *authzen.ROUTES,
        health.check_liveness,
        health.check_readiness,
        retrieve_metrics,
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
