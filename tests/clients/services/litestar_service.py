"""A service of Litestar."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, Request, get
from litestar.params import FromPath

from tests.clients.services.serving import described, serve


@get("/v1/orders/{order_id:str}")
async def show_order(order_id: FromPath[str], request: Request[Any, Any, Any]) -> dict[str, str]:
    """An order."""
    return described(order_id, request.scope)


if __name__ == "__main__":
    serve(Litestar([show_order]))
