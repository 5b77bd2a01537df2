"""An application that cannot start, on the server that is named: python -m tests.apps.failing granian"""

from __future__ import annotations

import sys
from typing import Any, get_args

from litestar.types import Receive, Scope, Send

from app import logs
from app.cli.server.listening import bind
from app.cli.server.run import serve
from app.settings import ServerName


async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Say so, and no more."""
    message: Any = {"type": "lifespan.startup.failed", "message": "the cellar is flooded"}
    await send(message)


if __name__ == "__main__":
    logs.configure("info", "json")
    serve(app, bind("127.0.0.1", 0), server={name: name for name in get_args(ServerName)}[sys.argv[1]])
