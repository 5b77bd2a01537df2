"""Error responses of the endpoints for apps (RFC 6749 section 5.2)."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from app.db.availability import RETRY_AFTER_SECONDS, UNAVAILABLE, error_name, is_away
from app.db.disk import RETRY_AFTER_SECONDS as SPACE_SECONDS
from app.db.disk import DiskShortage
from app.http.door.budgets import TOO_MANY
from app.http.wire.errors import CUT_OFF, INTERNAL, is_cut_off
from app.identity.budget import BudgetSpent
from app.oauth.errors import BadClientSecret, ErrorCode, OAuthError

_AnyRequest = Request[Any, Any, Any]
_log = structlog.stdlib.get_logger("oauth")


class TokenError(msgspec.Struct):
    """Why an app gets no answer."""

    error: str
    error_description: str


def no_store(body: bytes, status: int = 200, **headers: str) -> Response[bytes]:
    """A JSON response that is not stored (RFC 6749 section 5.1)."""
    stored = {"Cache-Control": "no-store", "Pragma": "no-cache", **headers}
    return Response(body, status_code=status, media_type=MediaType.JSON, headers=stored)


def _answer(status: int, code: ErrorCode, description: str, **headers: str) -> Response[bytes]:
    return no_store(msgspec.json.encode(TokenError(code, description)), status, **headers)


def _refused(_: _AnyRequest, error: OAuthError) -> Response[bytes]:
    if error.retry_after is not None:
        return _answer(429, error.code, error.description, **{"Retry-After": str(error.retry_after)})
    if isinstance(error, BadClientSecret):
        # RFC 6749: the challenge is for an app that used this scheme. For others a browser would ask for a password.
        challenge = {"WWW-Authenticate": 'Basic realm="apps"'} if error.basic else {}
        return _answer(401, error.code, error.description, **challenge)
    return _answer(400, error.code, error.description)


def _too_many(_: _AnyRequest, error: BudgetSpent) -> Response[bytes]:
    return _answer(429, "temporarily_unavailable", TOO_MANY, **{"Retry-After": str(error.retry_after)})


def _short(_: _AnyRequest, error: DiskShortage) -> Response[bytes]:
    return _answer(503, "temporarily_unavailable", str(error), **{"Retry-After": str(SPACE_SECONDS)})


def _database(request: _AnyRequest, error: Exception) -> Response[bytes]:
    if not is_away(error):
        return _unexpected(request, error)
    _log.error("the database does not answer", error=error_name(error))
    return _answer(503, "temporarily_unavailable", UNAVAILABLE, **{"Retry-After": str(RETRY_AFTER_SECONDS)})


def _http(request: _AnyRequest, error: HTTPException) -> Response[bytes]:
    if is_cut_off(error):
        return _answer(400, "invalid_request", CUT_OFF)
    if error.status_code >= 500:
        return _unexpected(request, error)
    return _answer(error.status_code, "invalid_request", error.detail)


def _unexpected(_: _AnyRequest, error: Exception) -> Response[bytes]:
    _log.error("unhandled exception", exc_info=error)
    return _answer(500, "server_error", INTERNAL)


HANDLERS: ExceptionHandlersMap = {
    OAuthError: _refused,
    BudgetSpent: _too_many,
    DiskShortage: _short,
    SQLAlchemyError: _database,
    TimeoutError: _database,
    HTTPException: _http,
    Exception: _unexpected,
}
