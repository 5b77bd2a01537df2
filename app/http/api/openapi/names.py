"""The operation ids of the OpenAPI document, from which client libraries derive the names of their functions."""

from __future__ import annotations

from collections.abc import Callable

from litestar.handlers import HTTPRouteHandler
from litestar.types import Method
from litestar.types.internal_types import PathParameterDefinition

_Path = list[str | PathParameterDefinition]


def operation_namer() -> Callable[[HTTPRouteHandler, Method, _Path], str]:
    """The operation ids of a document: the name of the handler, which is a verb and its object.

    If another operation has that name already, the path follows.
    """
    given: set[str] = set()

    def name(handler: HTTPRouteHandler, method: Method, path: _Path) -> str:
        found = handler.handler_name if method != "HEAD" else f"{handler.handler_name}_head"
        if found in given:
            words = (part if isinstance(part, str) else part.name for part in path)
            found = "_".join((found, *words)).replace("-", "_").replace(".", "")
        given.add(found)
        return found

    return name
