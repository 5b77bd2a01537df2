"""Serves an application behind a decision point, as the page on services shows it."""

from __future__ import annotations

import os
import sys
from typing import Any

import uvicorn

from scripts.clients.asgi import Authorization
from scripts.clients.authzen import DecisionPoint


def serve(app: Any) -> None:
    """Serve an ASGI application on the port that is the only argument of the program."""
    pdp = DecisionPoint(os.environ["AUTHZEN_URL"], os.environ["AUTHZEN_TOKEN"], timeout=20)
    served = Authorization(app, pdp, service="orders", address=_stated_address)
    uvicorn.run(served, port=int(sys.argv[1]), log_level="warning")


def _stated_address(scope: Any) -> str:
    """The address of the client, which a test states in a header."""
    found: list[str] = [value.decode() for name, value in scope["headers"] if name == b"x-test-client"]
    return found[0] if found else ""


def described(order_id: str, scope: Any) -> dict[str, str]:
    """An order, and who asks for it."""
    caller = scope["caller"]
    return {"order": order_id, "type": caller.type, "id": caller.id, "owner": caller.owner}
