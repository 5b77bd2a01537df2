"""All private API of Litestar that this program uses.

Litestar has no public way to remove the exception layer around a handler, to get at a schema of the OpenAPI document
while it is created, nor to tell its own handlers of OPTIONS from others. tests/http/wire/test_litestar_private.py fails
if the meaning of these names changes.
"""

from __future__ import annotations

from litestar._openapi.schema_generation import SchemaCreator
from litestar.handlers import HTTPRouteHandler
from litestar.middleware._internal.exceptions import ExceptionHandlerMiddleware
from litestar.openapi.spec import Schema
from litestar.routes import HTTPRoute
from litestar.types import ASGIApp
from litestar.typing import FieldDefinition

__all__ = ["SchemaCreator", "is_options_of_litestar", "registered_schema", "without_exception_layer"]


def without_exception_layer(app: ASGIApp) -> ASGIApp:
    """The handler without the layer around it that turns its exceptions into responses for middleware."""
    return app.app if isinstance(app, ExceptionHandlerMiddleware) else app


def is_options_of_litestar(handler: HTTPRouteHandler) -> bool:
    """Whether Litestar made this handler of OPTIONS, since the route has no other one."""
    return handler.fn.__module__ == HTTPRoute.__module__


def registered_schema(creator: SchemaCreator, field: FieldDefinition) -> Schema:
    """The schema of a type among the components of the OpenAPI document, to be filled in."""
    return creator.schema_registry.get_schema_for_field_definition(field)
