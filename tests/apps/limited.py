"""An application that reads bodies, with short times: python -m tests.apps.limited granian"""

from __future__ import annotations

import sys
from typing import Any, get_args

from litestar.types import Receive, Scope, Send

from app import logs
from app.cli.server.limits import ConnectionLimits
from app.cli.server.listening import bind
from app.cli.server.run import serve
from app.settings import ServerName

LIMITS = ConnectionLimits(head_seconds=0.4, body_seconds=0.6, idle_seconds=0.8, connections_per_peer=20)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the number of bytes in the body, which is not read at /early, and 400 to a body that is cut off."""
    if scope["type"] not in ("http", "websocket"):
        while True:
            message: Any = await receive()
            done: Any = {"type": f"{message['type']}.complete"}
            await send(done)
            if message["type"] == "lifespan.shutdown":
                return
    size, status, more = 0, 200, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            status = 400
            break
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    headers = ((b"content-length", str(len(body)).encode()),)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


if __name__ == "__main__":
    logs.configure("info", "json")
    server = {name: name for name in get_args(ServerName)}[sys.argv[1]]
    serve(app, bind("127.0.0.1", 0), server=server, limits=LIMITS)
