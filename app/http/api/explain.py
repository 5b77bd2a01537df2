"""The API of explanations: of a decision about grants or a key, and of a past request."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.view import DecisionView
from app.db.past_requests import find_past
from app.http.api.past_request import NOT_LOGGED, may_also
from app.http.door.refusal import FORBIDDEN
from app.http.wire.handlers import AllowedRequest, RequestSession
from app.http.wire.json_body import only_json
from app.http.wire.problems import InvalidBody, Problem, detail_spec, invalid
from app.keys.known_key import KeyState, known_key
from app.policy.analysis.explain import explain
from app.policy.analysis.explained import ExplanationView, explanation_view
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget
from app.policy.language.caller import read_caller
from app.policy.language.endpoint import endpoint_fault
from app.policy.language.given import Given, InvalidVariable, read_given
from app.policy.language.grants import stated_fault
from app.services import Services, services_of

_LOG = "/api/v1/decisions"
_Text = Annotated[str, Field(min_length=1, max_length=2048)]


def _check_integer(value: object) -> object:
    # Litestar disables pydantic's strict mode, in which `true` is not 1.
    if value is not None and type(value) is not int:
        raise ValueError("must be a whole number")
    return value


class ExplainRequest(BaseModel):
    """The decision to explain: exactly one of `grants`, `key_id` and `request_id`; the first two need `action` and
    `resource`.

    The grants of an app are its facts, the scopes that its user consented to, `for`, and the grants of the user.
    `given` are variables of conditions that a request would set, such as `{"request": {"ip": "10.0.0.1"}}`.
    """

    model_config = ConfigDict(extra="forbid")

    grants: Annotated[list[_Text], Field(max_length=500)] | None = None
    key_id: Annotated[int, Field(ge=1, lt=2**63), BeforeValidator(_check_integer)] | None = None
    request_id: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    action: _Text | None = None
    resource: _Text | None = None
    given: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class ExplainResponse:
    """The decision of the active policy `now`, and for a past request also the logged decision `then`.

    If `now` is null, `note` has the reason. `then` is the newest decision with the request id, and `others` is the
    number of older ones.
    """

    now: ExplanationView | None
    key: KeyState | None = None
    then: DecisionView | None = None
    others: int = 0
    note: str | None = None


@post(
    "/api/v1/policies/explain",
    status_code=200,
    before_request=only_json,
    summary="Explain a decision",
    tags=["policies"],
    responses={
        400: ResponseSpec(InvalidBody, description="The body is invalid"),
        404: detail_spec("No such key, or no decision on such a request", "API key not found.", NOT_LOGGED),
    },
)
async def explain_decision(
    data: JSONBody[ExplainRequest], request: AllowedRequest, session: RequestSession
) -> ExplainResponse:
    """The deciding row, or the nearest rows with their missing grants, and the fewest grants that would allow it.

    For a past request the caller needs permission to read the decision log too.
    """
    services = services_of(request.app)
    snapshot = services.live.active
    _check_question(data)
    try:
        given = read_given(data.given)
    except InvalidVariable as error:
        raise invalid({"given": f"{error.message}; {error.hint}"}) from None
    if data.request_id is not None:
        _check_log_access(request, services)
        return await _explain_past(session, data.request_id, snapshot, given)
    if data.key_id is not None:
        key, principal = await known_key(services.sessions, snapshot, data.key_id, services.settings.key_environments)
        owned = {**given, "subject": {"owner": key.owner, **given.get("subject", {})}}
        now = _explained(snapshot, principal.held, data, owned)
        if key.refused:
            return ExplainResponse(None, key, note=f"Calls with this key get 401: {key.refused}.")
        return ExplainResponse(now, key)
    grants = data.grants or []
    if fault := stated_fault(grants, snapshot.policy.catalog, snapshot.policy.memberships):
        raise invalid({"grants": f"{fault[0]}: {fault[1]}"})
    return ExplainResponse(_explained(snapshot, read_caller(grants), data, given))


def _check_question(data: ExplainRequest) -> None:
    """Raises Problem 400 unless there is exactly one question."""
    questions = [name for name in ("grants", "key_id", "request_id") if getattr(data, name) is not None]
    if len(questions) != 1:
        raise invalid({"": "send exactly one of grants, key_id and request_id"})
    is_past = data.request_id is not None
    fields = [name for name in ("action", "resource") if (getattr(data, name) is not None) is is_past]
    if fields:
        raise invalid(dict.fromkeys(fields, "is in the decision log: remove it" if is_past else "is missing"))


def _explained(snapshot: Snapshot, held: Collection[str], data: ExplainRequest, given: Given) -> ExplanationView:
    action, resource = data.action or "", data.resource or ""
    if fault := endpoint_fault(action, resource):
        raise invalid({"action" if fault[2] == action else "resource": f"{fault[0]}: {fault[1]}"})
    try:
        return explanation_view(explain(snapshot, held, action, resource, given))
    except NoSuchTarget as error:
        field = "action" if error.status == 405 else "resource"
        raise invalid({field: f"{error.message}; {error.answer}. {error.hint}"}) from None


def _check_log_access(request: AllowedRequest, services: Services) -> None:
    """Raises Problem 403 if the caller may not read the decision log."""
    decision = may_also(request, "app", _LOG, "GET")
    if not decision:
        refusals = services.refusals
        _, challenge = refusals.insufficient_scope(decision.scope)
        raise Problem(403, FORBIDDEN, headers={"WWW-Authenticate": challenge.decode()})


async def _explain_past(session: AsyncSession, request_id: str, snapshot: Snapshot, given: Given) -> ExplainResponse:
    found = await find_past(session, request_id, snapshot, given)
    if found is None:
        raise Problem(404, NOT_LOGGED)
    return ExplainResponse(found.now, then=found.then, others=found.others, note=found.note)
