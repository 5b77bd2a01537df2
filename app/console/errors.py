"""Exception handlers that answer with pages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap
from sqlalchemy.exc import SQLAlchemyError

from app.console.config import is_page
from app.console.page import page
from app.db.availability import RETRY_AFTER_SECONDS, UNAVAILABLE, error_name, is_away
from app.db.disk import FULL, is_full
from app.http.api import domain_problems
from app.http.wire import errors
from app.http.wire.problems import Problem
from app.services import services_of

_log = structlog.stdlib.get_logger("console")
_AnyRequest = Request[Any, Any, Any]


def _problem(request: _AnyRequest, problem: Problem) -> Response[str]:
    errors = (f"{error['field']} {error['message']}." for error in problem.errors)
    answer = _page(request, problem.status, " ".join((problem.detail, *errors)))
    answer.headers.update(problem.headers)
    return answer


def _domain(request: _AnyRequest, error: domain_problems.DomainError) -> Response[str]:
    return _problem(request, domain_problems.problem_of(error, services_of(request.app).refusals))


def _http(request: _AnyRequest, error: HTTPException) -> Response[str]:
    if errors.is_cut_off(error):
        return _page(request, 400, errors.CUT_OFF)
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected(request, error)
    answer = _page(request, error.status_code, error.detail)
    answer.headers.update(error.headers or {})  # the methods of a 405
    return answer


def _invalid(request: _AnyRequest, _error: ValidationException) -> Response[str]:
    return _page(request, 400, "The query of this address is not valid. Go back, or start over.")


def _unexpected(request: _AnyRequest, error: Exception) -> Response[str]:
    _log.error("unhandled exception", exc_info=error)
    return _page(request, 500, "Something went wrong. It was logged with the request id.")


def _database(request: _AnyRequest, error: Exception) -> Response[str]:
    if not is_away(error):
        return _unexpected(request, error)
    _log.error(
        "the disk of the database is full" if is_full(error) else "the database does not answer",
        error=error_name(error),
    )
    answer = _page(request, 503, f"{FULL if is_full(error) else UNAVAILABLE} Try again in a moment.")
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _page(request: _AnyRequest, status: int, detail: str) -> Response[str]:
    return page(request, "error.html", status=status, heading=HTTPStatus(status).phrase, detail=detail)


HANDLERS: ExceptionHandlersMap = {
    **dict.fromkeys(domain_problems.HANDLERS, _domain),
    Problem: _problem,
    ValidationException: _invalid,
    HTTPException: _http,
    SQLAlchemyError: _database,
    TimeoutError: _database,
    Exception: _unexpected,
}


def unmatched(request: _AnyRequest, error: HTTPException) -> Response[Any]:
    """Answer an unmatched path or method: with a page below /console, with JSON elsewhere."""
    return _http(request, error) if is_page(request.scope["path"]) else errors.of_http(request, error)
