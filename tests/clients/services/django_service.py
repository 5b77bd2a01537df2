"""A service of Django."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import JsonResponse
from django.urls import path

from tests.clients.services.serving import described, serve


async def show_order(request: Any, order_id: str) -> Any:
    """An order."""
    return JsonResponse(described(order_id, request.scope))


if __name__ == "__main__":
    settings.configure(ROOT_URLCONF=(path("v1/orders/<str:order_id>", show_order),), ALLOWED_HOSTS=["*"])
    serve(get_asgi_application())
