"""Handlers of a team's own API."""

from __future__ import annotations

from typing import Any

from litestar import Request, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

ORDERS = {1: "two tickets", 2: "a jersey"}


@get("/v1/orders")
async def list_orders(limit: FromQuery[int] = 10) -> list[str]:
    """All orders."""
    return list(ORDERS.values())[:limit]


@get("/v1/orders/{order_id:int}")
async def show_order(order_id: FromPath[int], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """An order, and who asks for it."""
    user = request.user
    return {"order": ORDERS[order_id], "subject": user.subject, "method": user.method, "rule": request.auth.rule.file}


@post("/v1/orders")
async def place_order(data: JSONBody[dict[str, str]]) -> dict[str, str]:
    """Place an order."""
    return data


ROUTES = [list_orders, show_order, place_order]
CLASHING = [get("/healthz")(list_orders.fn)]
WITHOUT_VERSION = [
    get("/orders")(list_orders.fn),
    get("/orders/archive")(list_orders.fn),
    get("/orders/{order_id:int}")(show_order.fn),
    put("/orders/archive")(place_order.fn),
    put("/orders/{order_id:int}")(place_order.fn),
]
EMPTY: list[object] = []
NUMBER = 7
BESIDE_OTHERS = [
    get("/{tenant:str}/orders")(list_orders.fn),
    post("/api/v1/{kind:str}")(place_order.fn),
    get("/api/v1/baskets")(list_orders.fn),
]
EVERY_PATH = [get("/api/{rest:path}")(list_orders.fn)]
