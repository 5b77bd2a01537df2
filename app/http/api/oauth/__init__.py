"""The APIs of third-party apps: the registry, and the endpoints of the authorization server."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from app.http.api.oauth import (
    app_grants,
    apps,
    own_grants,
    par,
    people,
    registration,
    revocation,
    server_metadata,
    token,
)
from app.http.api.oauth.errors import HANDLERS

ROUTES: tuple[ControllerRouterHandler, ...] = (
    *apps.ROUTES,
    app_grants.list_app_grants,
    *own_grants.ROUTES,
    *people.ROUTES,
    Router(
        "/",
        route_handlers=[
            par.push_authorization_request,
            token.issue_tokens,
            revocation.revoke_token,
            registration.register_client,
        ],
        exception_handlers=HANDLERS,
    ),
    *server_metadata.ROUTES,
)
