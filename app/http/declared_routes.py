"""The application's routes as text: to learn them from the application takes ten times as long as a whole check.

A test compares them with the application, and `scripts/declare_routes.py` writes them.
"""

from __future__ import annotations

from itertools import groupby

from app.policy.routing.routes import Route, RouteTable

_ROUTES = """\
/.well-known/authzen-configuration GET HEAD OPTIONS
/.well-known/oauth-protected-resource GET HEAD OPTIONS
/access/v1/evaluation OPTIONS POST
/access/v1/evaluations OPTIONS POST
/access/v1/search/action OPTIONS POST
/access/v1/search/resource OPTIONS POST
/access/v1/search/subject OPTIONS POST
/api/v1/acquisitions GET HEAD OPTIONS POST
/api/v1/acquisitions/{acquisition_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/admin-actions GET HEAD OPTIONS
/api/v1/all-keys/beyond-owner GET HEAD OPTIONS
/api/v1/all-keys/revoke OPTIONS POST
/api/v1/api-keys GET HEAD OPTIONS POST
/api/v1/api-keys/{key_id} GET HEAD OPTIONS
/api/v1/api-keys/{key_id}/revoke OPTIONS POST
/api/v1/api-keys/{key_id}/rotate OPTIONS POST
/api/v1/decisions GET HEAD OPTIONS
/api/v1/decisions/export GET HEAD OPTIONS
/api/v1/decisions/health GET HEAD OPTIONS
/api/v1/franchises GET HEAD OPTIONS POST
/api/v1/franchises/{franchise_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/games GET HEAD OPTIONS POST
/api/v1/games/{game_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/games/{game_id}/drives GET HEAD OPTIONS POST
/api/v1/games/{game_id}/drives/{drive_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/leagues GET HEAD OPTIONS POST
/api/v1/leagues/{league_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/policies GET HEAD OPTIONS
/api/v1/policies/explain OPTIONS POST
/api/v1/policies/history GET HEAD OPTIONS
/api/v1/policies/history/{revision} GET HEAD OPTIONS
/api/v1/policies/publish OPTIONS POST
/api/v1/policies/reach GET HEAD OPTIONS
/api/v1/policies/reload OPTIONS POST
/api/v1/policies/replay OPTIONS POST
/api/v1/policies/rollback OPTIONS POST
/api/v1/policies/shadow DELETE GET HEAD OPTIONS PUT
/api/v1/policies/usage GET HEAD OPTIONS
/api/v1/policies/who GET HEAD OPTIONS
/api/v1/replicas GET HEAD OPTIONS
/api/v1/seasons GET HEAD OPTIONS POST
/api/v1/seasons/{season_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/sources GET HEAD OPTIONS POST
/api/v1/sources/{source_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/tags GET HEAD OPTIONS POST
/api/v1/tags/{tag_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/teams GET HEAD OPTIONS POST
/api/v1/teams/{team_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/venues GET HEAD OPTIONS POST
/api/v1/venues/{venue_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/video-assets GET HEAD OPTIONS POST
/api/v1/video-assets/{video_asset_id} DELETE GET HEAD OPTIONS PATCH PUT
/api/v1/video-assets/{video_asset_id}/tags GET HEAD OPTIONS POST
/api/v1/video-assets/{video_asset_id}/tags/{video_asset_tag_id} DELETE GET HEAD OPTIONS PATCH PUT
/console GET HEAD OPTIONS
/console/account GET HEAD OPTIONS
/console/admin-actions GET HEAD OPTIONS
/console/all-keys GET HEAD OPTIONS
/console/all-keys/{key_id}/revoke GET HEAD OPTIONS POST
/console/callback GET OPTIONS
/console/decisions GET HEAD OPTIONS
/console/decisions/newer GET HEAD OPTIONS
/console/keys GET HEAD OPTIONS
/console/keys/new GET HEAD OPTIONS POST
/console/keys/{key_id} GET HEAD OPTIONS
/console/keys/{key_id}/revoke GET HEAD OPTIONS POST
/console/keys/{key_id}/rotate GET HEAD OPTIONS POST
/console/policy GET HEAD OPTIONS
/console/policy/edit GET HEAD OPTIONS POST
/console/policy/edit/check OPTIONS POST
/console/policy/edit/preview OPTIONS POST
/console/policy/edit/publish OPTIONS POST
/console/policy/edit/replay OPTIONS POST
/console/policy/edit/shadow OPTIONS POST
/console/policy/history GET HEAD OPTIONS
/console/policy/history/{revision} GET HEAD OPTIONS
/console/policy/history/{revision}/rollback GET HEAD OPTIONS POST
/console/policy/matrix GET HEAD OPTIONS
/console/policy/shadow/withdraw OPTIONS POST
/console/policy/simulator GET HEAD OPTIONS
/console/replicas GET HEAD OPTIONS
/console/sign-in GET HEAD OPTIONS
/console/sign-in/start GET OPTIONS
/console/sign-out OPTIONS POST
/console/sign-out/everywhere OPTIONS POST
/console/signed-out GET HEAD OPTIONS
/console/static/{name} GET HEAD OPTIONS
/docs GET HEAD OPTIONS
/docs/style.css GET HEAD OPTIONS
/healthz GET HEAD OPTIONS
/metrics GET HEAD OPTIONS
/oauth/introspect OPTIONS POST
/openapi.json GET HEAD OPTIONS
/readyz GET HEAD OPTIONS
"""


def route_table() -> RouteTable:
    """The routes, for a command that reads a policy without serving it."""
    lines = (line.split() for line in _ROUTES.splitlines())
    return RouteTable(Route(template, method) for template, *methods in lines for method in methods)


def declaration(table: RouteTable) -> str:
    """These routes as text: a template and its methods on each line."""
    grouped = groupby(table.routes, key=lambda route: route.template)
    return "".join(f"{template} {' '.join(route.method for route in routes)}\n" for template, routes in grouped)
