"""All private API of Litestar that this program uses.

Litestar has no public way to remove the exception layer around a handler, to get at a schema of the OpenAPI document
while it is created, to tell its own handlers of OPTIONS from others, nor to parse what callers send without caches.
tests/http/wire/test_litestar_private.py fails if the meaning of these names changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from litestar import Litestar
from litestar._asgi.utils import get_route_handlers, is_valid_host
from litestar._kwargs import extractors
from litestar._openapi.schema_generation import SchemaCreator
from litestar.connection import base, request
from litestar.datastructures import url
from litestar.exceptions import ClientException
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.middleware._internal.exceptions import ExceptionHandlerMiddleware
from litestar.openapi.spec import Schema
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp, Empty, ExceptionHandlersMap, Receive, Scope, Send
from litestar.typing import FieldDefinition
from litestar.utils.path import normalize_path
from litestar.utils.scope.state import ScopeState

from app.http.wire.scope_types import HTTP

__all__ = [
    "RESPONSE_STARTED",
    "SchemaCreator",
    "is_options_of_litestar",
    "registered_schema",
    "without_exception_layer",
    "without_outer_layers",
]

_MAX_ROUTES = 1_024
_MAX_HOSTS = 64
# Functions that Litestar caches by up to 1,024 values of callers, who may send thousands of fields in each.
_OF_VALUES = {
    base: ("parse_query_string", "parse_cookie_string"),
    request: ("parse_url_encoded_form_data",),
    url: ("parse_query_string",),
    extractors: ("parse_query_string", "create_query_default_dict", "parse_url_encoded_form_data"),
}
RESPONSE_STARTED = "response_started"  # in the state of a scope; absent before


def without_exception_layer(app: ASGIApp) -> ASGIApp:
    """The handler without the layer around it that turns its exceptions into responses for middleware."""
    return app.app if isinstance(app, ExceptionHandlerMiddleware) else app


def is_options_of_litestar(handler: HTTPRouteHandler) -> bool:
    """Whether Litestar made this handler of OPTIONS, since the route has no other one."""
    return handler.fn.__module__ == HTTPRoute.__module__


def without_outer_layers(app: Litestar, is_direct: Callable[[BaseRouteHandler], bool] = lambda _: False) -> ASGIApp:
    """The application, whose layer that turns exceptions into responses is made only when there is an exception.

    The layer would pass on each message that is sent, to know whether the response has started. The caller sets
    `RESPONSE_STARTED` in the state of the scope when it has. What follows from a path is cached, as by the router.
    Handlers that are direct, which Litestar does not call, have its state of the connection only after an exception.
    """
    _keep_no_values()
    for handler in {each for route in app.routes for each in get_route_handlers(route)}:
        # Resolved for each request otherwise, although its documentation says that it is memoized. Only the handlers of
        # OPTIONS that Litestar adds itself have slots.
        if hasattr(handler, "__dict__"):
            resolved = handler.resolve_exception_handlers()
            handler.__dict__["resolve_exception_handlers"] = partial(_identity, resolved)
    router, is_host = app.asgi_router, lru_cache(_MAX_HOSTS)(is_valid_host)
    if app.before_send or not isinstance(app.asgi_handler, ExceptionHandlerMiddleware):  # with CORS, which is around it
        return app

    @lru_cache(_MAX_ROUTES)  # as many as the router caches by normalized path
    def find_route(path: str, method: str) -> tuple[ASGIApp, Any, str, dict[str, Any], str, ExceptionHandlersMap, bool]:
        handler, route_handler, path, params, template = router.handle_routing(normalize_path(path), method)
        handlers = route_handler.resolve_exception_handlers()
        return handler, route_handler, path, params, template, handlers, is_direct(route_handler)

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != HTTP:
            await app(scope, receive, send)
            return
        scope["app"] = scope["litestar_app"] = app
        handlers: ExceptionHandlersMap = app.exception_handlers  # if there is no route
        try:
            if scope.get("root_path"):
                await router(scope, receive, send)
            else:  # as the router does
                for name, value in scope["headers"]:
                    if name == b"host":
                        if not is_host(value):
                            raise ClientException("Invalid host header")
                        break
                handler, route_handler, path, params, template, handlers, direct = find_route(
                    scope["path"], scope["method"]
                )
                scope["route_handler"], scope["path"] = route_handler, path
                scope["path_params"], scope["path_template"] = params, template
                if not direct:
                    ScopeState.from_scope(scope).exception_handlers = handlers
                await handler(scope, receive, send)
        except Exception as error:  # noqa: BLE001  # as the layer does
            state = ScopeState.from_scope(scope)
            if state.exception_handlers is Empty:
                state.exception_handlers = handlers
                scope.setdefault("path_params", {})
            state.response_started = RESPONSE_STARTED in scope["state"]
            await ExceptionHandlerMiddleware(_raiser_of(error), debug=None)(scope, receive, send)

    return routed


def _keep_no_values() -> None:
    """Parse queries, cookies and forms without caches, in which a caller could keep hundreds of megabytes."""
    for module, names in _OF_VALUES.items():
        for name in names:
            cached = getattr(module, name)
            setattr(module, name, getattr(cached, "__wrapped__", cached))


def _identity(found: ExceptionHandlersMap) -> ExceptionHandlersMap:
    return found


def _raiser_of(error: Exception) -> ASGIApp:
    errors = [error]  # emptied, since a frame that refers to its own exception is a reference cycle

    async def raising(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise errors.pop()

    return raising


def registered_schema(creator: SchemaCreator, field: FieldDefinition) -> Schema:
    """The schema of a type among the components of the OpenAPI document, to be filled in."""
    return creator.schema_registry.get_schema_for_field_definition(field)
