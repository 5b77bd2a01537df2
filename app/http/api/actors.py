"""The caller of a request as the author of an administrative act."""

from __future__ import annotations

from typing import Any

from litestar import Request

from app import logs
from app.audit.actor import Actor, actor_of


def requesting_actor(request: Request[Any, Any, Any]) -> Actor:
    """The caller of a request, under the revision that allowed it."""
    return actor_of(request.user, logs.request_id.get(), request.auth.revision)
