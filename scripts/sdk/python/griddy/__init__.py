"""A client of the Griddy API, synchronous and asynchronous, with types."""

from __future__ import annotations

from ._async_client import AsyncGriddy
from ._client import Griddy
from ._errors import (
    BadRequest,
    Conflict,
    ConnectionFailed,
    Forbidden,
    GriddyError,
    NotFound,
    RefusedRequest,
    ServerError,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedResponse,
)
from ._exchange import RetryPolicy

__version__ = "0.1.0"
__all__ = [
    "AsyncGriddy",
    "BadRequest",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "Griddy",
    "GriddyError",
    "NotFound",
    "RefusedRequest",
    "RetryPolicy",
    "ServerError",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedResponse",
]
