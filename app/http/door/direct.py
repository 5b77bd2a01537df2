"""Handlers that are called as they are: each takes the request and nothing else, and makes the answer itself.

Litestar would look for what to inject, to convert and to clean up around them, which takes a tenth of an evaluation.
What they raise is answered as what any handler raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler
from litestar.types import Receive, Scope, Send

_KEY = "direct"
DIRECT: Mapping[str, bool] = {_KEY: True}  # the `opt` of such a handler, which has no hooks


def is_direct(handler: BaseRouteHandler) -> bool:
    """Whether a handler is one of them."""
    return _KEY in handler.opt


async def answer(handler: Any, scope: Scope, receive: Receive, send: Send) -> None:
    """Call it, and send what it made."""
    made = await handler.fn(Request[Any, Any, Any](scope, receive, send))
    await made(scope, receive, send)
