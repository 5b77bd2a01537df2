"""One handler of Litestar with nothing in front of it, on the server that also serves the application."""

from __future__ import annotations

from litestar import Litestar, get

from app import logs
from app.cli.server.listening import bind
from app.cli.server.run import serve


@get("/")
async def hello() -> dict[str, str]:
    """Says so to everybody."""
    return {"status": "ok"}


if __name__ == "__main__":
    logs.configure("info", "json")
    serve(Litestar([hello], openapi_config=None, logging_config=None), bind("127.0.0.1", 0))
