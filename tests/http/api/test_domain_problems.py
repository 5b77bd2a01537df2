"""The errors of use-cases as answers: a status and a detail for each."""

from __future__ import annotations

import pytest

from app.audit.admission import LogFull
from app.audit.shadowing import NoShadow
from app.db.disk import SHORT, DiskShortage
from app.http.api.domain_problems import HANDLERS, DomainError, problem_of
from app.http.door.refusal import Refusals
from app.identity.budget import BudgetSpent
from app.identity.errors import CannotVerify
from app.identity.impersonation import Impersonated
from app.keys.refusals import (
    InvalidKeyOrder,
    KeyConflict,
    NoSuchKey,
    NotInOrganization,
    OrderFault,
    OwnerBlocked,
    ScopesNotHeld,
)
from app.oauth.own_grants import NoSuchGrant
from app.oauth.refusals import AppConflict, AppOrderFault, InvalidAppOrder, NoSuchApp
from app.policy.engine.suspended import CannotDecide

INVALID = [OrderFault("scopes", "a permission stands here twice"), OrderFault("expires_at", "must be in the future")]


@pytest.mark.parametrize(
    ("error", "status", "detail", "header"),
    [
        (NoSuchKey(), 404, "API key not found.", None),
        (NoSuchKey("There is no API key 7."), 404, "There is no API key 7.", None),
        (NoShadow("No policy is in shadow."), 404, "No policy is in shadow.", None),
        (KeyConflict("Revoke one first."), 409, "Revoke one first.", None),
        (NotInOrganization(), 403, "You are not signed in to this organization.", None),
        (NoSuchGrant(), 404, "Grant not found.", None),
        (LogFull(), 503, "The decision log is full.", "1"),
        (OwnerBlocked(), 403, "An administrator has blocked you, so you get no API key.", None),
        (Impersonated(), 403, "You act as another user now, so no credentials are issued in their name.", None),
        (NoSuchApp(), 404, "App not found.", None),
        (AppConflict("It has no secret."), 409, "It has no secret.", None),
        (InvalidAppOrder([AppOrderFault("name", "is blank")]), 400, "The request body is invalid.", None),
        (InvalidKeyOrder(INVALID), 400, "The request body is invalid.", None),
        (ScopesNotHeld(["b:read"]), 403, "Token is missing one or more required permissions.", None),
        (BudgetSpent(30), 429, "Too many requests.", "30"),
        (CannotVerify("API keys cannot be looked up now.", 5), 503, "API keys cannot be looked up now.", "5"),
        (CannotDecide(), 503, "The policy may be out of date.", "5"),
        (DiskShortage(SHORT), 503, SHORT, "60"),
    ],
)
def test_each_error_has_its_answer(error: DomainError, status: int, detail: str, header: str | None) -> None:
    problem = problem_of(error, Refusals())
    assert (problem.status, problem.detail, problem.headers.get("Retry-After")) == (status, detail, header)
    assert any(isinstance(error, handled) for handled in HANDLERS if isinstance(handled, type))
    if isinstance(error, InvalidKeyOrder):
        assert [dict(each) for each in problem.errors] == [
            {"field": "scopes", "message": "a permission stands here twice"},
            {"field": "expires_at", "message": "must be in the future"},
        ]
    challenge = problem.headers.get("WWW-Authenticate", "")
    assert ('error="insufficient_scope"' in challenge) is (status == 403)
    assert ('scope="b:read"' in challenge) is isinstance(error, ScopesNotHeld)
