"""The responses to exceptions: a status, a detail, and nothing else of the exception."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

import msgspec
import pytest
from litestar import Litestar, route
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    NotFoundException,
    ServiceUnavailableException,
    ValidationException,
)
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from structlog.testing import capture_logs

from app.db.disk import FULL
from app.http.wire.errors import CUT_OFF, HANDLERS, INTERNAL
from app.http.wire.problems import Problem, invalid

pytestmark = pytest.mark.anyio

AWAY = "The database does not answer now."
LOGGED = "unhandled exception"
PREMATURE = "client disconnected prematurely"  # as Litestar says


class _Raised:
    error: Exception = Exception()


@route("/", http_method=["GET", "HEAD", "PATCH", "POST"], status_code=200, sync_to_thread=False)
def _raising() -> None:
    raise _Raised.error


APP = Litestar([_raising], exception_handlers=HANDLERS, openapi_config=None, logging_config=None)


async def answer_to(error: Exception, method: str = "POST") -> tuple[int, Any, dict[str, str]]:
    """The status, body and headers of the response to a request that raises an error."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    _Raised.error = error
    scope: Any = {
        **{"type": "http", "http_version": "1.1", "method": method, "scheme": "http", "path": "/", "raw_path": b"/"},
        **{"root_path": "", "query_string": b"", "client": ("127.0.0.1", 1), "server": ("a", 80), "headers": []},
        **{"extensions": {}, "asgi": {"version": "3.0"}},
    }
    await APP(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    assert headers["content-type"] == "application/json"
    return sent[0]["status"], msgspec.json.decode(sent[1]["body"]), headers


def failed(code: int) -> OperationalError:
    """An error of SQLite with an extended code."""
    cause = sqlite3.OperationalError("a value")
    cause.sqlite_errorcode = code
    return OperationalError("SELECT", {}, cause)


@pytest.mark.parametrize(
    ("error", "status", "detail", "wait", "event"),
    [
        (HTTPException("Too late.", status_code=409), 409, "Too late.", None, None),
        (HTTPException(status_code=410), 410, "Gone.", None, None),
        (HTTPException("Not Found", status_code=404), 404, "Not found.", None, None),
        (HTTPException("Not Found", status_code=410), 410, "Not Found", None, None),
        (HTTPException("", status_code=405), 405, "Method not allowed.", None, None),
        (NotFoundException(), 404, "Not found.", None, None),
        (HTTPException("Wait.", status_code=429, headers={"Retry-After": "7"}), 429, "Wait.", "7", None),
        (HTTPException("a value", status_code=500), 500, INTERNAL, None, LOGGED),
        (HTTPException("a value", status_code=501), 500, INTERNAL, None, LOGGED),
        (ServiceUnavailableException("a value"), 500, INTERNAL, None, LOGGED),
        (InternalServerException(PREMATURE), 400, CUT_OFF, None, None),
        (InternalServerException("a value"), 500, INTERNAL, None, LOGGED),
        (HTTPException(PREMATURE, status_code=404), 404, PREMATURE, None, None),
        (Problem(418, "Short and stout."), 418, "Short and stout.", None, None),
        (Problem(503, "Busy.", headers={"Retry-After": "3"}), 503, "Busy.", "3", None),
        (RuntimeError("a value"), 500, INTERNAL, None, LOGGED),
        (SQLAlchemyError("a value"), 500, INTERNAL, None, LOGGED),
        (failed(sqlite3.SQLITE_CONSTRAINT), 500, INTERNAL, None, LOGGED),
        (failed(sqlite3.SQLITE_BUSY), 503, AWAY, "1", "the database does not answer"),
        (PoolExhausted(), 503, AWAY, "1", "the database does not answer"),
        (TimeoutError("a value"), 503, AWAY, "1", "the database does not answer"),
        (failed(sqlite3.SQLITE_FULL), 503, FULL, "1", "the disk of the database is full"),
        (TimeoutError(errno.ENOSPC, "a value"), 503, FULL, "1", "the disk of the database is full"),
    ],
    ids=str,
)  # fmt: skip
async def test_an_exception_has_a_status_and_a_detail(
    error: Exception, status: int, detail: str, wait: str | None, event: str | None
) -> None:
    with capture_logs() as lines:
        found, body, headers = await answer_to(error)
    assert (found, body, headers.get("retry-after")) == (status, {"detail": detail}, wait)
    assert [line["event"] for line in lines] == ([event] if event else [])
    assert [line["exc_info"] for line in lines if "exc_info" in line] == ([error] if event == LOGGED else [])


async def test_invalid_fields_are_named() -> None:
    fields = [{"field": "name", "message": "is blank"}, {"field": "", "message": "is odd"}]
    assert (await answer_to(Problem(400, "No.", fields)))[:2] == (400, {"detail": "No.", "errors": fields})
    status, body, _ = await answer_to(invalid({"name": "is blank"}))
    assert (status, body) == (400, {"detail": "The request body is invalid.", "errors": fields[:1]})


@pytest.mark.parametrize(
    ("method", "extra", "detail", "errors"),
    [
        ("POST", [{"key": "name", "message": "is blank"}, {"message": 7}], "The request body is invalid.", True),
        ("GET", [{"key": "name", "message": "is blank"}, {"message": 7}], "The request is invalid.", True),
        # Whose body the server leaves out, and whose headers are those of a GET.
        ("HEAD", [{"key": "name", "message": "is blank"}, {"message": 7}], "The request is invalid.", True),
        ("PATCH", [{"key": "name", "message": "is blank"}, {"message": 7}], "The request body is invalid.", True),
        ("POST", [], "The request is invalid.", False),
        ("POST", {"key": "name", "message": "is blank"}, "The request is invalid.", False),
        ("POST", None, "The request is invalid.", False),
    ],
)
async def test_errors_of_validation_say_whether_they_are_about_the_body(
    method: str, extra: Any, detail: str, *, errors: bool
) -> None:
    expected: dict[str, Any] = {"detail": detail}
    if errors:
        expected["errors"] = [{"field": "name", "message": "is blank"}, {"field": "", "message": "7"}]
    assert (await answer_to(ValidationException("a value", extra=extra), method))[:2] == (400, expected)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_missing_parameter_is_named(method: str) -> None:
    missing = ValidationException("Missing required query parameter 'key_id' for path /usage")
    errors = [{"field": "key_id", "message": "is required"}]
    assert (await answer_to(missing, method))[:2] == (400, {"detail": "The request is invalid.", "errors": errors})
