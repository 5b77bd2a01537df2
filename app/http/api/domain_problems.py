"""The status and detail of each domain error, for JSON responses and pages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

from litestar import Response
from litestar.types import ExceptionHandlersMap

from app.audit.admission import LogFull
from app.audit.shadowing import NoShadow
from app.db.disk import RETRY_AFTER_SECONDS, DiskShortage
from app.http.door.budgets import TOO_MANY
from app.http.door.refusal import FORBIDDEN, Refusals
from app.http.wire import errors
from app.http.wire.problems import INVALID_BODY, Problem
from app.identity.budget import BudgetSpent
from app.identity.errors import CannotVerify
from app.identity.impersonation import Impersonated
from app.keys.refusals import InvalidKeyOrder, KeyRefused, NoSuchKey, NotInOrganization, OwnerBlocked, ScopesNotHeld
from app.oauth.own_grants import NoSuchGrant
from app.oauth.refusals import AppRefused, InvalidAppOrder, NoSuchApp
from app.policy.engine.suspended import CannotDecide
from app.services import AnyRequest, services_of

DomainError = (
    KeyRefused
    | AppRefused
    | Impersonated
    | NoShadow
    | BudgetSpent
    | CannotVerify
    | CannotDecide
    | DiskShortage
    | LogFull
)


def problem_of(error: DomainError, refusals: Refusals) -> Problem:
    """The Problem for an error of a use-case."""
    if isinstance(error, DiskShortage):
        return Problem(503, str(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, CannotVerify | CannotDecide | LogFull):
        return Problem(503, error.detail, headers={"Retry-After": str(error.retry_after)})
    if isinstance(error, BudgetSpent):
        return Problem(429, TOO_MANY, headers={"Retry-After": str(error.retry_after)})
    if isinstance(error, InvalidKeyOrder | InvalidAppOrder):
        return Problem(400, INVALID_BODY, [asdict(fault) for fault in error.faults])
    if isinstance(error, ScopesNotHeld | OwnerBlocked | NotInOrganization | Impersonated):
        missing, detail = (error.scopes, FORBIDDEN) if isinstance(error, ScopesNotHeld) else ((), str(error))
        _, challenge = refusals.insufficient_scope(missing)  # each 403 has one (RFC 6750 section 3)
        return Problem(403, detail, headers={"WWW-Authenticate": challenge.decode()})
    return Problem(404 if isinstance(error, NoSuchKey | NoSuchApp | NoSuchGrant | NoShadow) else 409, str(error))


def answer(request: AnyRequest, error: DomainError) -> Response[dict[str, Any]]:
    """The JSON response to a domain error."""
    return errors.of_problem(request, problem_of(error, services_of(request.app).refusals))


HANDLERS: ExceptionHandlersMap = dict.fromkeys(get_args(DomainError), answer)
