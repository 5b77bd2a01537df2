"""The route table of a Litestar application, and the key that a matched request has in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from litestar import Litestar
from litestar.handlers import ASGIRouteHandler
from litestar.routes import ASGIRoute, BaseRoute, HTTPRoute, WebSocketRoute
from litestar.types import Scope

from app.http.door.refusal import Refusal
from app.http.wire.litestar_private import is_options_of_litestar
from app.http.wire.scope_types import WEBSOCKET
from app.policy.routing.routes import METHODS, Route, RouteTable
from app.policy.routing.template_tree import TAIL

# The methods that Litestar routes to a mounted application, each of which needs a rule.
_HTTP_METHODS = tuple(method for method in METHODS if method not in ("QUERY", "TRACE", "WEBSOCKET"))
_WEBSOCKET = "WEBSOCKET"


class CannotMount(Exception):
    """An application is mounted so that a request to it has no unique key."""


@dataclass(frozen=True, slots=True)
class RouteKeys:
    """The keys (resource, action) of matched requests: `templates` by those of Litestar, `mounts` by handler id.

    `options` are the responses to OPTIONS by template of Litestar, if the route has no handler for it.
    """

    templates: Mapping[str, str]
    mounts: Mapping[int, str]
    options: Mapping[str, Refusal] = field(default_factory=dict)

    def key(self, scope: Scope) -> tuple[str, str]:
        """The key of a matched request. An unknown route has an empty resource, which no rule matches."""
        action = _WEBSOCKET if scope["type"] == WEBSOCKET else scope["method"]
        mount = self.mounts.get(id(scope["route_handler"])) if self.mounts else None
        return mount or self.templates.get(scope["path_template"], ""), action


def table_of(app: Litestar, *, sample: Iterable[str] = ()) -> tuple[RouteTable, RouteKeys]:
    """The routes of an application, with the templates of the sample API if it has it.

    Raises CannotMount for a handler that is mounted at several paths.
    """
    routes: list[Route] = []
    templates: dict[str, str] = {}
    mounts: dict[int, str] = {}
    options: dict[str, Refusal] = {}
    for route in app.routes:
        if isinstance(route, ASGIRoute) and route.route_handler.is_mount:
            template = _mount(route.route_handler)
            mounts[id(route.route_handler)] = template
        else:
            template = templates[route.path_format] = _template(route)
        routes += [Route(template, method) for method in _methods(route)]
        if isinstance(route, HTTPRoute) and is_options_of_litestar(route.route_handler_map["OPTIONS"][0]):
            options[route.path_format] = _options(route)
    return RouteTable(routes, sample=sample), RouteKeys(templates, mounts, options)


def _options(route: HTTPRoute) -> Refusal:
    """The methods of a route. Litestar's own response lacks those of handlers that were registered later."""
    return Refusal(204, ((b"allow", ", ".join(sorted(route.methods)).encode()),), b"")


def _methods(route: BaseRoute) -> tuple[str, ...]:
    if isinstance(route, HTTPRoute):
        return tuple(str(method) for method in route.methods)
    if isinstance(route, WebSocketRoute):
        return (_WEBSOCKET,)
    return _HTTP_METHODS


def _template(route: BaseRoute) -> str:
    """The template of a route. A path parameter that spans segments becomes `**`, which no pattern `*` matches."""
    parts = [
        part if isinstance(part, str) else TAIL if part.type is Path else f"{{{part.name}}}"
        for part in route.path_components
    ]
    return "/" + "/".join(parts)


def _mount(handler: ASGIRouteHandler) -> str:
    if len(handler.paths) != 1:
        paths = ", ".join(sorted(handler.paths))
        raise CannotMount(f"one handler is mounted at {paths}: mount it once for each path")
    return f"{next(iter(handler.paths)).rstrip('/')}/{TAIL}"
