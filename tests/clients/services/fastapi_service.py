"""A service of FastAPI."""

from __future__ import annotations

from fastapi import FastAPI, Request

from tests.clients.services.serving import described, serve

app = FastAPI()


@app.get("/v1/orders/{order_id}")
async def show_order(order_id: str, request: Request) -> dict[str, str]:
    """An order."""
    return described(order_id, request.scope)


if __name__ == "__main__":
    serve(app)
