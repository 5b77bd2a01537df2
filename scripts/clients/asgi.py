"""ASGI middleware that lets a decision point decide about each request. Copy it beside `authzen.py`.

It works in front of FastAPI, Starlette, Litestar, Django and Quart, and covers every route, documentation included:

    pdp = DecisionPoint(os.environ["AUTHZEN_URL"], os.environ["AUTHZEN_TOKEN"])
    app = Authorization(app, pdp, service="orders")

`service` is the name of your OpenAPI document in the policy's `upstreams/`. A handler finds the caller in the scope, as
`request.scope["caller"]`. Nothing but a decision that allows lets a request through.

With `address`, a function that finds the address of the client in a scope, bad tokens count for that client alone. Do
not give the address of your own proxy, which is that of all clients.

Put it around all middleware that changes `path`: a request whose `path` is not what was sent gets a 503.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

from scripts.clients.authzen import DecisionPoint, TokenVerdict  # in your service: from authzen import …

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
DETAILS: Final = {
    401: "Authentication credentials were not provided, or are not accepted.",
    403: "Token is missing one or more required permissions.",
    429: "Too many requests.",
    503: "There is no decision now. Try again.",
}
_log = logging.getLogger("authorization")


class Authorization:
    """The application behind a decision point. `public` are paths that need none, such as `/healthz`."""

    def __init__(
        self,
        app: App,
        pdp: DecisionPoint,
        *,
        service: str,
        public: frozenset[str] = frozenset(),
        address: Callable[[Scope], str] = lambda _: "",
    ) -> None:
        self._app, self._pdp, self._service, self._public, self._address = app, pdp, service, public, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through if it is allowed. A WebSocket is refused, since browsers send no token with it."""
        scope.pop("caller", None)
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        # As it was sent: a server decodes `path`, so that two different paths could look alike.
        path = (scope.get("raw_path") or b"").decode("latin-1").partition("?")[0]
        if unquote(path) != scope["path"]:
            _log.error("authorization failed: `path` of the scope is not its `raw_path`, decoded")
            await _refuse(TokenVerdict(503, "", None, "", ""), send)
            return
        if scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        verdict = await self._decide(scope, path)
        if not verdict:
            await _refuse(verdict, send)
            return
        scope["caller"] = verdict.caller
        await self._app(scope, receive, send)

    async def _decide(self, scope: Scope, path: str) -> TokenVerdict:
        resource = f"{self._service}:{path}"
        verdict = await self._pdp.evaluate_token(
            _bearer_token(scope["headers"]),
            scope["method"],
            {"type": "route", "id": resource},
            ip=self._address(scope),
        )
        if verdict.failure:
            _log.error("authorization failed: %s (%s)", verdict.failure, verdict.request_id)
        return verdict


def _bearer_token(headers: list[tuple[bytes, bytes]]) -> str:
    """The token of the only `Authorization` header; empty for any other request."""
    values = [value for name, value in headers if name.lower() == b"authorization"]
    scheme, _, token = values[0].decode("latin-1").partition(" ") if len(values) == 1 else ("", "", "")
    return token if scheme.lower() == "bearer" else ""


async def _refuse(verdict: TokenVerdict, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in verdict.headers.items()]
    await send({"type": "http.response.start", "status": verdict.status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps({"detail": DETAILS[verdict.status]}).encode()})
