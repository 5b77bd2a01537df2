"""The simulator: explains the verdict for a caller, a method and a path, and what would change it.

It uses GET, so that an answer can be shared as a link.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from litestar import Response
from sqlalchemy.ext.asyncio import AsyncSession

from app.console.page import may_open, page
from app.console.unseen_token import UnseenToken, unseen_token
from app.db.past_requests import PastRequest, find_past
from app.gateway.resource_reference import ROUTE_TYPE, resolve_target
from app.http.api.past_request import NOT_LOGGED, may_also
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.identity.errors import CannotVerify
from app.keys.known_key import KeyState, known_key
from app.keys.refusals import NoSuchKey
from app.policy.analysis.explain import explain_target
from app.policy.analysis.explained import ExplanationView, explanation_view
from app.policy.analysis.explanation import OWN_CLIENT, Remedy
from app.policy.engine.delegation import is_delegated
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget, Target, find_target
from app.policy.language.caller import FOR, read_caller
from app.policy.language.endpoint import endpoint_fault
from app.policy.language.given import Given, InvalidVariable, read_assignments
from app.policy.language.grants import known_roles, stated_fault
from app.policy.routing.routes import METHODS, is_route
from app.services import AnyRequest, services_of

PATH = "/console/policy/simulator"
LOG = "/console/decisions"
FIELDS = ("as", "user", "role", "key", "method", "path", "given", "request_id")
REMEDIES = {remedy.name.lower(): str(remedy) for remedy in Remedy}
MAX_TEXT = 4096


@dataclass(slots=True)
class SimulatorAnswer:
    """An explanation, errors by field, or a past request."""

    explained: ExplanationView | None = None
    key: KeyState | None = None
    past: PastRequest | None = None
    unseen: UnseenToken | None = None
    note: str = ""
    errors: dict[str, str] = field(default_factory=dict)


@get_or_head(PATH)
async def simulator(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show the form, and the answer of the active policy."""
    snapshot = services_of(request.app).live.active
    fields = {name: request.query_params.get(name, "").strip() for name in FIELDS}
    answer = SimulatorAnswer()
    if too_long := [name for name, text in fields.items() if len(text) > MAX_TEXT]:
        answer.errors = dict.fromkeys(too_long, f"must have at most {MAX_TEXT:,} characters")
    elif fields["request_id"]:
        answer = await _explain_past(request, session, fields, snapshot)
    elif any(fields.values()):
        answer = await _ask(request, fields, snapshot)
        if answer.explained:
            answer.unseen = await unseen_token(request, session, fields, snapshot, log=LOG, path=PATH)
    return page(
        request,
        "simulator.html",
        status=400 if answer.errors else 200,
        fields=fields,
        answer=answer,
        remedies=REMEDIES,
        own_client=OWN_CLIENT,
        methods=METHODS,
        roles=sorted(known_roles(snapshot.policy.memberships)),
        permissions=snapshot.policy.catalog,
        opening=_opening(fields, answer.explained),
        log_is_open=may_open(request, LOG),
    )


ROUTES = (simulator,)


async def _ask(request: AnyRequest, fields: Mapping[str, str], snapshot: Snapshot) -> SimulatorAnswer:
    answer = SimulatorAnswer()
    held: Collection[str] = _held(fields)
    given = _given(fields["given"], answer)
    if fields["key"]:
        held, given = await _key(request, fields, given, snapshot, answer)
    elif fault := stated_fault(held, snapshot.policy.catalog, snapshot.policy.memberships):
        answer.errors["as"] = f"{fault[0]}: {fault[1]}"
    else:
        held = read_caller(held)
    target = _target(snapshot, fields["method"], fields["path"], answer)
    if not answer.errors and target is not None:
        answer.explained = explanation_view(explain_target(snapshot, held, target, given))
        if answer.key is not None and answer.key.refused:
            answer.note = f"Calls with this key get 401 now: {answer.key.refused}."
    return answer


def _held(fields: Mapping[str, str]) -> list[str]:
    """The stated grants, with the facts of a user and a role."""
    grants = fields["as"].split()
    if is_delegated(grants) and (fields["user"] or fields["role"]):
        user = [f"user:{fields['user']}"] if fields["user"] else []
        grants += [*([] if FOR in grants else [FOR]), *user, *([fields["role"]] if fields["role"] else [])]
        return list(dict.fromkeys(grants))
    if fields["user"]:
        grants += ["auth:jwt", f"user:{fields['user']}"]
    if fields["role"]:
        grants += [] if any(grant.startswith("auth:") for grant in grants) else ["auth:jwt"]
        grants.append(fields["role"])
    return list(dict.fromkeys(grants))


async def _key(
    request: AnyRequest, fields: Mapping[str, str], given: Given, snapshot: Snapshot, answer: SimulatorAnswer
) -> tuple[Collection[str], Given]:
    if any(fields[name] for name in ("as", "user", "role")):
        answer.errors["key"] = "a key has its own grants: leave the other fields empty"
        return (), given
    key_id = read_id(fields["key"])
    if key_id is None:
        answer.errors["key"] = "write the number of a key, such as 17"
        return (), given
    services = services_of(request.app)
    try:
        answer.key, principal = await known_key(services.sessions, snapshot, key_id, services.settings.key_environments)
    except (NoSuchKey, CannotVerify) as error:
        answer.errors["key"] = str(error)
        return (), given
    return principal.held, {**given, "subject": {"owner": answer.key.owner, **given.get("subject", {})}}


def _given(text: str, answer: SimulatorAnswer) -> Given:
    try:
        return read_assignments([line.strip() for line in text.splitlines() if line.strip()])
    except InvalidVariable as wrong:
        answer.errors["given"] = f"{wrong.message}; {wrong.hint}"
        return {}


def _target(snapshot: Snapshot, action: str, resource: str, answer: SimulatorAnswer) -> Target | None:
    """The target of the question; a path is canonicalised as at gateways. Errors go into the answer."""
    if not resource or not action:
        answer.errors |= {name: "is missing" for name, text in (("method", action), ("path", resource)) if not text}
        return None
    try:
        if is_route(resource):
            return resolve_target(snapshot, action, ROUTE_TYPE, resource)
        if fault := endpoint_fault(action, resource):
            answer.errors["method" if fault[2] == action else "path"] = f"{fault[0]}: {fault[1]}"
            return None
        return find_target(snapshot.table, snapshot.index, action, resource)
    except NoSuchTarget as error:
        name = "method" if error.status == 405 else "path"
        answer.errors[name] = f"{error.message}: {error.answer}; {error.hint}".replace(".:", ":")
        return None


async def _explain_past(
    request: AnyRequest, session: AsyncSession, fields: Mapping[str, str], snapshot: Snapshot
) -> SimulatorAnswer:
    """Explain a past request, for users who may also read the decision log."""
    answer = SimulatorAnswer()
    decision = may_also(request, "console", LOG, "GET")
    if not decision:
        answer.errors["request_id"] = f"past decisions need {' '.join(decision.missing)}"
        return answer
    given = _given(fields["given"], answer)
    if answer.errors:
        return answer
    answer.past = await find_past(session, fields["request_id"], snapshot, given)
    if answer.past is None:
        answer.errors["request_id"] = NOT_LOGGED
    else:
        answer.explained, answer.note = answer.past.now, answer.past.note or ""
    return answer


def _opening(fields: Mapping[str, str], explained: ExplanationView | None) -> str:
    """The address of the same question with the grants that open it."""
    if explained is None or not explained.opens_with or fields["key"] or fields["request_id"]:
        return ""
    words = fields["as"].split()
    place = words.index(FOR) if FOR in words else len(words)
    more = {**fields, "as": " ".join([*words[:place], *explained.opens_with, *words[place:]])}
    return f"{PATH}?{urlencode({name: value for name, value in more.items() if value})}"
