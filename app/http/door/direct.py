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
DIRECT: Mapping[str, bool] = {_KEY: True}  # the `opt` of such a handler, which cannot have hooks


def is_direct(handler: BaseRouteHandler) -> bool:
    """Whether a handler is called directly."""
    return _KEY in handler.opt


class _DirectRequest(Request[Any, Any, Any]):
    """A request with the attributes of Litestar's, which are set when one of them is read: a handler reads few."""

    __slots__ = ()

    def __init__(self, scope: Any, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send

    def __getattr__(self, name: str) -> object:
        # Called for an attribute that is not set, and again for none.
        super().__init__(self.scope, self.receive, self.send)
        return object.__getattribute__(self, name)


async def call_direct(handler: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Call a handler, and send its response."""
    response = await handler.fn(_DirectRequest(scope, receive, send))
    await response(scope, receive, send)
