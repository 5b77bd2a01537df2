"""The endpoints in front of the application: those of gateways, and those that scripts of any site may call."""

from __future__ import annotations

from collections.abc import Awaitable

from litestar.types import ASGIApp, Receive, Scope, Send

from app.http.door.forward_auth import PREFIX, ForwardAuth, with_gateways
from app.http.door.open_cors import PREFIXES, with_open_cors

_IN_FRONT = (PREFIX.decode(), *PREFIXES)


def with_front(app: ASGIApp, gateways: ForwardAuth) -> ASGIApp:
    """The application behind these endpoints, which one comparison tells from nearly all others."""
    front = with_gateways(with_open_cors(app), gateways)

    def dispatch(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # The lifespan scope has no path.
        return (front if scope.get("path", "").startswith(_IN_FRONT) else app)(scope, receive, send)

    return dispatch
