"""AuthZEN's Access Evaluation API and Access Evaluations API."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter_ns

import msgspec
from litestar import MediaType, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse
from msgspec import UNSET, Raw, Struct, UnsetType
from msgspec.structs import replace

from app.audit.decision_class import AUTHZEN_DOOR
from app.http.api.authzen import described
from app.http.api.authzen.budget import Sizes, check_grants, check_items, grants_fault
from app.http.api.authzen.evaluate import Evaluator, Outcome, stored_subjects
from app.http.api.authzen.token_subject import (
    TokenSubject,
    challenge_of,
    evaluate_token,
    introspection_refusal,
    is_about_token,
)
from app.http.api.authzen.wire import (
    MAX_ITEMS,
    AccessQuestion,
    Evaluation,
    Evaluations,
    RequestedEntity,
    action_parts,
    decode,
    decode_evaluations,
    entity_parts,
    missing_field,
    read_text,
)
from app.http.door.direct import DIRECT
from app.http.door.time_slice import TimeSlice
from app.http.wire.data_response import EncodedResponse
from app.http.wire.problems import Problem, detail_spec
from app.identity.principal import Principal
from app.policy.engine.decision import Decision
from app.policy.engine.resolved_subject import APP_TYPE, KEY_TYPE, NO_SUBJECTS
from app.policy.language.row_view import RowPlace
from app.services import AnyRequest, Services, services_of

_MAX_SHORT = 8_192  # bytes of the body of an evaluation, which takes a millisecond; a longer one is long work
EVALUATION = "/access/v1/evaluation"
EVALUATIONS = "/access/v1/evaluations"
# The decision that ends the evaluations, by semantic.
SEMANTICS = {"execute_all": None, "deny_on_first_deny": False, "permit_on_first_permit": True}

_EVALUATION = msgspec.json.Decoder(Evaluation)
_EVALUATIONS = msgspec.json.Decoder(Evaluations)
_ITEM = msgspec.json.Decoder(AccessQuestion)
_ENCODER = msgspec.json.Encoder()
_NO_STORE = {"Cache-Control": "no-store"}
_REFUSED = {
    400: detail_spec("The body is invalid", "The request body is not valid JSON."),
    503: detail_spec("The decision log is full: retry after a second"),
}


class EvaluationReason(Struct, frozen=True):
    """The reason of a decision: `rule` is the deciding row, `missing` are the missing grants.

    For an invalid item there is only `reason`. For a token there is also its `subject`, and what the service that asks
    is to answer: `status` 200, 401, 403 or 429, and `challenge` and `retry_after`, the headers WWW-Authenticate and
    Retry-After.
    """

    reason: str | UnsetType = UNSET
    rule: RowPlace | UnsetType | None = UNSET
    missing: tuple[str, ...] | UnsetType = UNSET
    revision: str | UnsetType = UNSET
    status: int | UnsetType = UNSET
    challenge: str | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    subject: TokenSubject | UnsetType = UNSET


class EvaluationResult(Struct, frozen=True):
    """The result of an evaluation; with `context` for the option `explain`, for a token, and for an invalid item."""

    decision: bool
    context: EvaluationReason | UnsetType = UNSET


class Verdicts(Struct, frozen=True):
    """The results of the items, in their order."""

    evaluations: list[EvaluationResult]


_PLAIN = {allowed: EvaluationResult(allowed) for allowed in (True, False)}


@post(
    EVALUATION,
    status_code=200,
    summary="Evaluate access (AuthZEN)",
    tags=["authzen"],
    operation_class=described.evaluation(),
    opt=DIRECT,
    responses={
        200: ResponseSpec(EvaluationResult, description="The decision, whichever it is"),
        **_REFUSED,
    },
)
async def evaluate_access(request: AnyRequest) -> ASGIResponse:
    """Whether a subject may do an action on a resource. A denial is an answer like any other."""
    text = await read_text(request)
    services = services_of(request.app)
    snapshot, started = services.live.active, perf_counter_ns()
    # The same question again, about a decision that is cached: nothing of it needs to be read or resolved.
    if (known := services.recent.question(snapshot, text)) is not None and services.decision_log.has_room:
        principal, resource, action = known
        decision = snapshot.recall(principal.held, resource, action)
        if decision is not None:
            services.decision_log.note(AUTHZEN_DOOR, resource, action, principal, decision, started=started)
            return _ANSWERS[decision.allowed]
    if len(text) <= _MAX_SHORT:
        return await _single(decode(text, _EVALUATION), request, text)
    async with services.long_work.turn(request.user.subject, len(text)):
        return await _single(decode(text, _EVALUATION), request)


@post(
    EVALUATIONS,
    status_code=200,
    summary="Evaluate access many times (AuthZEN)",
    tags=["authzen"],
    operation_class=described.evaluations(MAX_ITEMS, tuple(SEMANTICS)),
    opt=DIRECT,
    responses={200: ResponseSpec(Verdicts, description="A decision for each item"), **_REFUSED},
)
async def evaluate_access_batch(request: AnyRequest) -> ASGIResponse:
    """Up to 1,000 evaluations, all under one policy. A body without items is a single evaluation."""
    services = services_of(request.app)
    services.long_work.check_waiting(request.user.subject)  # before reading a large body
    text = await read_text(request)
    body, items = decode_evaluations(text, _EVALUATIONS)
    semantic = body.options.evaluations_semantic or "execute_all"
    if semantic not in SEMANTICS:
        raise Problem(400, f"`options.evaluations_semantic` must be one of {', '.join(SEMANTICS)}.")
    if not items and len(text) <= _MAX_SHORT:
        return await _single(body, request)
    check_grants(body.subject)
    async with services.long_work.turn(request.user.subject, len(text)):
        if not items:
            return await _single(body, request)
        return await _many(body, items, SEMANTICS[semantic], services)


async def _many(body: Evaluations, items: Sequence[Raw], until: bool | None, services: Services) -> ASGIResponse:
    time_slice, sizes, total = TimeSlice(services.long_work.give_way), Sizes(), 0
    questions, valid = list[AccessQuestion | EvaluationReason](), list[AccessQuestion]()
    for raw in items:
        item = _item(raw, body)
        questions.append(item)
        if isinstance(item, AccessQuestion):
            valid.append(item)
            total += sizes.of(item.subject, item.action, item.resource, item.context)
        if time_slice.is_over:
            await time_slice.next()
    check_items(total)
    evaluator = await _evaluator(valid, services, defaults=body)
    async with services.decision_log.room_for(len(valid)):
        verdicts = await _verdicts(evaluator, questions, until, time_slice, explain=body.options.explain)
    return _json(_ENCODER.encode(Verdicts(verdicts)))


async def _single(body: Evaluation, request: AnyRequest, text: bytes | None = None) -> ASGIResponse:
    """The answer to an evaluation, which is cached by its `text` if that says all of it."""
    if field := missing_field(subject=body.subject, action=body.action, resource=body.resource):
        raise Problem(400, f"`{field}` is missing.")
    check_grants(body.subject)
    services = services_of(request.app)
    if is_about_token(body):
        return await _of_token(body, request.user, services)
    evaluator = await _evaluator((body,), services)
    log = services.decision_log
    if log.has_room:
        outcome = evaluator.evaluate(body)
    else:
        async with log.room_for(1):
            outcome = evaluator.evaluate(body)
    if body.options.explain:
        return _json(_ENCODER.encode(_explained(outcome, evaluator.snapshot.revision)))
    if text is not None and isinstance(outcome, Decision):
        kind, identity, _ = entity_parts(body.resource)
        target = (action_parts(body.action)[0], kind, identity)
        services.recent.add_question(evaluator.snapshot, text, entity_parts(body.subject), target)
    return _ANSWERS[isinstance(outcome, Decision) and outcome.allowed]


async def _of_token(body: Evaluation, asker: Principal, services: Services) -> ASGIResponse:
    snapshot = services.live.active
    if refused := introspection_refusal(asker, snapshot, services):
        return _json(refused.body, {"WWW-Authenticate": challenge_of(refused), **_NO_STORE}, refused.status)
    found = await evaluate_token(body, asker, snapshot, services)
    reason = _reason(found.outcome, snapshot.revision) if body.options.explain else EvaluationReason()
    context = replace(
        reason,
        status=found.status,
        challenge=found.challenge,
        retry_after=found.retry_after,
        subject=found.subject,
    )
    return _json(_ENCODER.encode(EvaluationResult(found.status == 200, context)), _NO_STORE)


async def _verdicts(
    evaluator: Evaluator,
    questions: Sequence[AccessQuestion | EvaluationReason],
    until: bool | None,
    time_slice: TimeSlice,
    *,
    explain: bool,
) -> list[EvaluationResult]:
    verdicts: list[EvaluationResult] = []
    for question in questions:
        if isinstance(question, EvaluationReason):
            verdict = EvaluationResult(False, question)
        elif explain:
            verdict = _explained(evaluator.evaluate(question), evaluator.snapshot.revision)
        else:
            outcome = evaluator.evaluate(question)
            verdict = _PLAIN[isinstance(outcome, Decision) and outcome.allowed]
        verdicts.append(verdict)
        if verdict.decision is until:
            break
        if time_slice.is_over:
            await time_slice.next()
    return verdicts


async def _evaluator(
    questions: Sequence[AccessQuestion], services: Services, defaults: AccessQuestion | None = None
) -> Evaluator:
    subjects = [question.subject for question in questions]
    in_database = [each for each in subjects if isinstance(each, RequestedEntity) and each.type in (KEY_TYPE, APP_TYPE)]
    stored = await stored_subjects(services, in_database) if in_database else NO_SUBJECTS
    return Evaluator(services.live.active, stored, services.decision_log, services.recent, defaults=defaults)


def _item(raw: Raw, defaults: AccessQuestion) -> AccessQuestion | EvaluationReason:
    """The question of an item. A member that it omits is that of the defaults; members are not merged."""
    try:
        item = decode(raw, _ITEM, "The item")
    except Problem as problem:
        return EvaluationReason(problem.detail)
    question = AccessQuestion(
        _entity(item.subject, defaults.subject),
        defaults.action if item.action is UNSET else item.action,
        _entity(item.resource, defaults.resource),
        defaults.context if item.context is UNSET else item.context,
    )
    field = missing_field(subject=question.subject, action=question.action, resource=question.resource)
    if fault := f"`{field}` is missing." if field else grants_fault(item.subject):
        return EvaluationReason(fault)
    return question


def _entity(entity: RequestedEntity | UnsetType, default: RequestedEntity | UnsetType) -> RequestedEntity | UnsetType:
    """The entity of an item. An incomplete default completes its type or id, never its attributes."""
    if entity is UNSET or default is UNSET:
        return entity or default
    if UNSET not in (entity.type, entity.id) or UNSET not in (default.type, default.id):
        return entity
    return RequestedEntity(
        type=default.type if entity.type is UNSET else entity.type,
        id=default.id if entity.id is UNSET else entity.id,
        properties=entity.properties,
    )


def _explained(outcome: Outcome, revision: str) -> EvaluationResult:
    return EvaluationResult(isinstance(outcome, Decision) and outcome.allowed, _reason(outcome, revision))


def _reason(outcome: Outcome, revision: str) -> EvaluationReason:
    if isinstance(outcome, str):
        return EvaluationReason(outcome, None, (), revision)
    rule = RowPlace(found.file, found.line, found.column) if (found := outcome.rule) else None
    return EvaluationReason(outcome.reason, rule, outcome.missing, outcome.revision)


def _json(body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> ASGIResponse:
    return ASGIResponse(body=body, media_type=MediaType.JSON, headers=headers, status_code=status)


# The responses without explanation, encoded in advance.
_ANSWERS = {allowed: EncodedResponse(200, _ENCODER.encode(verdict)) for allowed, verdict in _PLAIN.items()}
