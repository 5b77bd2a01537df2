"""The answers of the endpoints for apps to each kind of error (RFC 6749 section 5.2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from litestar.exceptions import HTTPException, InternalServerException, MethodNotAllowedException, NotFoundException
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted
from structlog.testing import capture_logs

from app.db.disk import DiskShortage
from app.http.api.oauth.errors import HANDLERS
from app.http.wire.errors import _CUT_OFF
from app.identity.budget import BudgetSpent
from app.oauth.errors import BadClientSecret, OAuthError

REQUEST: Any = None  # no handler reads it
BASIC = {"www-authenticate": 'Basic realm="apps"'}


def answer_to(kind: type[Exception], error: Exception) -> tuple[int, str, dict[str, str], list[str]]:
    """The status, the code and the headers apart from those of every answer, and what is logged."""
    handler: Any = HANDLERS[kind]
    with capture_logs() as lines:
        answer = handler(REQUEST, error)
    assert answer.media_type == "application/json"
    headers = {name.lower(): value for name, value in answer.headers.items()}
    assert (headers.pop("cache-control"), headers.pop("pragma")) == ("no-store", "no-cache")
    body = json.loads(answer.content)
    assert set(body) == {"error", "error_description"}
    assert body["error_description"]
    return answer.status_code, body["error"], headers, [line["event"] for line in lines]


@pytest.mark.parametrize(
    ("kind", "error", "status", "code", "headers"),
    [
        (OAuthError, OAuthError("invalid_grant", "It is used."), 400, "invalid_grant", {}),
        (OAuthError, OAuthError("invalid_scope", "Wait.", retry_after=7), 429, "invalid_scope", {"retry-after": "7"}),
        (OAuthError, OAuthError("invalid_scope", "Wait.", retry_after=0), 429, "invalid_scope", {"retry-after": "0"}),
        (OAuthError, BadClientSecret("It is wrong.", basic=False), 401, "invalid_client", {}),
        (OAuthError, BadClientSecret("It is wrong.", basic=True), 401, "invalid_client", BASIC),
        (BudgetSpent, BudgetSpent(7), 429, "temporarily_unavailable", {"retry-after": "7"}),
        (DiskShortage, DiskShortage("It is full."), 503, "temporarily_unavailable", {"retry-after": "60"}),
        (HTTPException, MethodNotAllowedException(), 405, "invalid_request", {}),
        (HTTPException, NotFoundException(), 404, "invalid_request", {}),
        (HTTPException, HTTPException(status_code=499, detail="x"), 499, "invalid_request", {}),
        (HTTPException, InternalServerException(_CUT_OFF), 400, "invalid_request", {}),
    ],
)  # fmt: skip
def test_a_refusal(kind: type[Exception], error: Exception, status: int, code: str, headers: dict[str, str]) -> None:
    assert answer_to(kind, error) == (status, code, headers, [])


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (Exception, ValueError("x")),
        (HTTPException, InternalServerException("x")),
        (HTTPException, HTTPException(status_code=503, detail="x")),
        (SQLAlchemyError, IntegrityError("INSERT", {}, ValueError("x"))),
    ],
)
def test_a_fault_of_the_program(kind: type[Exception], error: Exception) -> None:
    assert answer_to(kind, error) == (500, "server_error", {}, ["unhandled exception"])


@pytest.mark.parametrize(("kind", "error"), [(SQLAlchemyError, PoolExhausted("x")), (TimeoutError, TimeoutError())])
def test_the_database_does_not_answer(kind: type[Exception], error: Exception) -> None:
    expected = (503, "temporarily_unavailable", {"retry-after": "1"}, ["the database does not answer"])
    assert answer_to(kind, error) == expected
