"""The application with a WebSocket, a mount, a handler that fails, and one that is slow to answer."""

from __future__ import annotations

import os
from typing import Any

from litestar import WebSocket, asgi, get, websocket
from litestar.types import Receive, Scope, Send

from app import logs
from app.asgi import create_app
from app.cli.server.listening import bind
from app.cli.server.run import serve
from app.history.recovery import StartState
from app.settings import load


@get("/extra/unruled")
async def unruled() -> str:
    """A route that a developer added without a rule."""
    return "open to all?"


@get("/extra/failing")
async def failing() -> None:
    """Fails with a secret in its hands."""
    raise RuntimeError("the handler broke")


@websocket("/extra/socket")
async def socket(socket: WebSocket[Any, Any, Any]) -> None:
    """Greets."""
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


@asgi("/extra/mounted", is_mount=True, copy_scope=True)
async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    """An application of its own."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"mounted", "more_body": False})


ROUTES = {"unruled": unruled, "failing": failing, "socket": socket, "mounted": mounted}

if __name__ == "__main__":
    logs.configure("info", "json")
    settings = load()
    extra = [ROUTES[name] for name in os.environ["EXTRA_ROUTES"].split()]
    serve(create_app(settings, StartState(), extra), bind(settings.host, 0))
