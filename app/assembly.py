"""The Litestar application: its routes, with or without the sample API, and what is the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.types import ControllerRouterHandler

from app.console import errors as console_errors
from app.griddy.models import example_of
from app.handlers import SAMPLE_SUMMARY, SAMPLE_TAGS, TAGS, handlers
from app.http.api import domain_problems
from app.http.api.openapi.document import ApiInfo
from app.http.declared_routes import sample_templates
from app.http.door.middleware import Door
from app.http.door.route_table import table_of
from app.http.own_routes import own_handlers, refused_routes
from app.http.wire import errors
from app.http.wire.data_response import DataResponse
from app.http.wire.model_schemas import ModelSchemas
from app.http.wire.session import provide_session
from app.lifecycle import lifespan
from app.policy.routing.routes import RouteTable
from app.settings import Settings

MAX_BODY_BYTES = 1_000_000


def assemble(
    routes: Sequence[ControllerRouterHandler],
    *,
    door: Door | None = None,
    cors: CORSConfig | None = None,
    openapi: OpenAPIConfig | None = None,
) -> Litestar:
    """An application with these routes: with a door for serving, without one only to read its routes and schemas."""
    return Litestar(
        route_handlers=list(routes),
        middleware=[door] if door else [],
        dependencies={"session": Provide(provide_session)},
        exception_handlers={
            **errors.HANDLERS,
            **domain_problems.HANDLERS,
            NotFoundException: console_errors.unmatched,
            MethodNotAllowedException: console_errors.unmatched,
        },
        cors_config=cors,
        openapi_config=openapi,
        logging_config=None,
        response_class=DataResponse,
        request_max_body_size=MAX_BODY_BYTES,
        lifespan=[lifespan] if door else [],
        plugins=[ModelSchemas(example_of)],
    )


def route_table(*, sample: bool = True, routes: str | None = None) -> RouteTable:
    """The application's routes, with or without the sample API, and those of the handlers at `routes`.

    Raises SettingsError if these cannot be used.
    """
    with refused_routes(routes):
        app = assemble([*handlers(sample=sample), *own_handlers(routes)])
        return table_of(app, sample=sample_templates() if sample else ())[0]


def api_info(settings: Settings) -> ApiInfo:
    """What the OpenAPI document says of the API as a whole."""
    if settings.sample_api:
        return ApiInfo(settings.api_title, SAMPLE_SUMMARY, {**TAGS, **SAMPLE_TAGS}, settings.public_url, TAGS)
    return ApiInfo(settings.api_title, "An API behind the policy of griddy-authz.", TAGS, settings.public_url, TAGS)


def cors_of(settings: Settings) -> CORSConfig | None:
    """Which pages of other origins may call the API; None if there is no such page."""
    if not settings.allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.allowed_origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "X-Request-ID", "traceparent", "tracestate"],
        expose_headers=["WWW-Authenticate", "X-Request-ID", "Retry-After", "Link"],
        max_age=600,
    )
