"""Exception handlers: error responses are `{"detail": …}`, with `errors` for an invalid body, never a traceback."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException, InternalServerException, ValidationException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from app.db.availability import RETRY_AFTER_SECONDS, UNAVAILABLE, error_name, is_away
from app.db.disk import FULL, is_full
from app.http.wire.problems import INVALID, INVALID_BODY, Problem

INTERNAL = "Internal server error."
CUT_OFF = "The request body did not arrive completely."
_CUT_OFF = "client disconnected prematurely"  # Litestar's detail, with the status 500
# Litestar's detail, which also has the path, and no `extra`.
_MISSING = re.compile(r"Missing required \w+ parameter '([^']+)' for ")
_log = structlog.stdlib.get_logger("http")

_AnyRequest = Request[Any, Any, Any]


def is_cut_off(error: HTTPException) -> bool:
    """Whether the body of a request is incomplete: the client disconnected, or its framing is malformed."""
    return isinstance(error, InternalServerException) and error.detail == _CUT_OFF


def _answer(
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[dict[str, Any]]:
    content: dict[str, Any] = {"detail": detail}
    if errors:
        content["errors"] = list(errors)
    return Response(content, status_code=status, headers=dict(headers or {}), media_type=MediaType.JSON)


def of_http(_request: _AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    """The response to an error of the framework."""
    if is_cut_off(error):
        return _answer(400, CUT_OFF)
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected(_request, error)
    detail = error.detail
    if detail == (phrase := HTTPStatus(error.status_code).phrase):  # Litestar's detail of an error without one
        detail = f"{phrase.capitalize()}."
    return _answer(error.status_code, detail, headers=error.headers)


def _invalid(request: _AnyRequest, error: ValidationException) -> Response[dict[str, Any]]:
    extra = error.extra if isinstance(error.extra, list) else []
    errors = [{"field": str(item.get("key", "")), "message": str(item["message"])} for item in extra]
    # Litestar's `source` of an error is a guess by its name.
    is_of_body = bool(errors) and request.method not in ("GET", "HEAD")
    if not errors and (missing := _MISSING.match(error.detail)):
        errors = [{"field": missing[1], "message": "is required"}]
    return _answer(400, INVALID_BODY if is_of_body else INVALID, errors)


def of_problem(_request: _AnyRequest, problem: Problem) -> Response[dict[str, Any]]:
    """The answer to a problem."""
    return _answer(problem.status, problem.detail, problem.errors, problem.headers)


def _unexpected(_request: _AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    _log.error("unhandled exception", exc_info=error)
    return _answer(500, INTERNAL)


def _database(request: _AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    if not is_away(error):
        return _unexpected(request, error)
    if is_full(error):
        _log.error("the disk of the database is full", error=error_name(error))
        return _answer(503, FULL, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    _log.error("the database does not answer", error=error_name(error))
    return _answer(503, UNAVAILABLE, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


HANDLERS: ExceptionHandlersMap = {
    HTTPException: of_http,
    ValidationException: _invalid,
    Problem: of_problem,
    SQLAlchemyError: _database,
    TimeoutError: _database,
    Exception: _unexpected,
}
