"""Cross-origin requests to the endpoints for apps, which scripts of any site may call without cookies.

The endpoints authenticate by what the script itself sends, and read no cookie. In front of the application, whose own
setting for the API (`AUTHZ_ALLOWED_ORIGINS`) must not add a second header.
"""

from __future__ import annotations

from collections.abc import Awaitable

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.http.door.refusal import Refusal
from app.http.wire.scope_types import HTTP

OPEN = ("/oauth/par", "/oauth/token", "/oauth/revoke", "/oauth/register")
METADATA = ("/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource")
PREFIXES = ("/oauth/", "/.well-known/")
_ANY = (b"access-control-allow-origin", b"*")
_EXPOSED = (b"access-control-expose-headers", b"WWW-Authenticate, Retry-After, X-Request-ID")
_PREFLIGHT = Refusal(
    204,
    (
        _ANY,
        (b"access-control-allow-methods", b"GET, HEAD, POST"),
        (b"access-control-allow-headers", b"Authorization, Content-Type, MCP-Protocol-Version"),
        (b"access-control-max-age", b"600"),
    ),
    b"",
)


def with_open_cors(app: ASGIApp) -> ASGIApp:
    """The application, with these endpoints open to the scripts of any site."""

    def dispatch(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != HTTP or not _is_open(scope["path"]):
            return app(scope, receive, send)
        names = {name for name, _ in scope["headers"]}
        if b"origin" not in names:
            return app(scope, receive, send)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in names:
            return _PREFLIGHT.send(scope, receive, send)
        scope["headers"] = [header for header in scope["headers"] if header[0] != b"origin"]

        def send_open(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], _ANY, _EXPOSED]
            return send(message)

        return app(scope, receive, send_open)

    return dispatch


def _is_open(path: str) -> bool:
    return path.startswith(PREFIXES) and (path.rstrip("/") in OPEN or path.startswith(METADATA))
