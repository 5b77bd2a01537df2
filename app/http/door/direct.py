"""Handlers that are called without Litestar's dependency injection: each takes a request and returns an ASGI response.

Injection, conversion and clean-up would take a tenth of the time of an evaluation. Exceptions are handled as usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.types import Receive, Scope, Send

_KEY = "direct"
_new_request: Any = Request  # without its type arguments, which would be resolved for each request
DIRECT: Mapping[str, bool] = {_KEY: True}  # the `opt` of such a handler, which cannot have hooks


def is_direct(handler: BaseRouteHandler) -> bool:
    """Whether a handler is called directly."""
    return _KEY in handler.opt


async def call_direct(handler: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Call a handler, and send its response."""
    response = await handler.fn(_new_request(scope, receive, send))
    await response(scope, receive, send)
