"""A token as the subject of an evaluation: it is verified and decided in one request, as at a door.

The response has the principal of the token, so that a key cannot be mistaken for its owner, and what the service that
asks is to answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter_ns
from typing import Literal
from urllib.parse import unquote

from msgspec import UNSET, Struct, UnsetType

from app.audit.record import Unverified
from app.gateway.proxies import MAX_HOP_BYTES, parse_hop
from app.gateway.resource_reference import ROUTE_TYPE, resolve_sent
from app.http.api.authzen.evaluate import Evaluator, Outcome
from app.http.api.authzen.wire import NOTHING, Evaluation, action_parts, entity_parts
from app.http.door.budgets import TOO_MANY
from app.http.door.refusal import Refusal
from app.http.wire.problems import Problem
from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.principal import Principal
from app.oauth.resource import covers, covers_upstream
from app.policy.engine.decision import Decision
from app.policy.engine.resolved_subject import NO_SUBJECTS, TOKEN_TYPE
from app.policy.engine.snapshot import Snapshot
from app.policy.routing.routes import split_route
from app.services import Services

_INTROSPECTION = ("/oauth/introspect", "POST")
# Of tokens that have the form of this deployment but were never issued: anyone can invent them.
_UNKNOWN = frozenset({AuthenticationFault.KEY_UNKNOWN.name.lower(), Cause.UNKNOWN_APP_TOKEN.value})
_TYPES: dict[str, Literal["user", "key", "app"]] = {"jwt": "user", "api_key": "key", "oauth": "app"}


class TokenSubject(Struct, frozen=True, omit_defaults=True):
    """The principal of a token: `id` is that of a user, a key or an app, `owner` the one for whom a key or an app acts,
    `permissions` are those of the catalogue that it holds, `impersonator` is the party that acts as the user."""

    type: Literal["user", "key", "app"]
    id: str
    owner: str = ""
    organization: str = ""
    permissions: tuple[str, ...] = ()
    impersonator: str = ""


@dataclass(frozen=True, slots=True)
class TokenOutcome:
    """The outcome for a token. `status`, 200, 401, 403 or 429, and `challenge` and `retry_after`, the headers
    WWW-Authenticate and Retry-After, are what the service is to answer."""

    outcome: Outcome
    status: Literal[200, 401, 403, 429]
    challenge: str | UnsetType = UNSET
    retry_after: int | UnsetType = UNSET
    subject: TokenSubject | UnsetType = UNSET


def is_about_token(question: Evaluation) -> bool:
    """Whether the subject of a question is a token."""
    return question.subject is not UNSET and question.subject.type == TOKEN_TYPE


def introspection_refusal(asker: Principal, snapshot: Snapshot, services: Services) -> Refusal | None:
    """The refusal for a caller who may not introspect tokens. A condition of such a row is not met here."""
    decision = snapshot.decide(asker.held, *_INTROSPECTION)
    return None if decision.allowed else services.refusals.forbidden(decision.scope)


async def evaluate_token(
    question: Evaluation, asker: Principal, snapshot: Snapshot, services: Services
) -> TokenOutcome:
    """Verify the token of a question, evaluate the question, and log the decision.

    The token is verified before the budget is checked, as at a door: a good one is accepted, whatever others send.
    Raises Problem, LogFull, and CannotVerify if the token cannot be verified now.
    """
    started = perf_counter_ns()
    token = entity_parts(question.subject)[1]
    if len(token) > services.authenticator.max_bytes:
        raise Problem(400, f"The token is longer than {services.authenticator.max_bytes} bytes.")
    try:
        principal = await services.authenticator.verify_token(token)
        if principal.resource is not None and not _is_covered(principal.resource, question, snapshot, services):
            raise Unauthenticated(Cause.ANOTHER_RESOURCE)
    except Unauthenticated as error:
        is_known = error.code not in _UNKNOWN
        if wait := services.budgets.spend_relayed_token(_sender(question), asker.subject, is_known=is_known):
            return TokenOutcome(TOO_MANY, 429, retry_after=wait)
        unverified = Unverified(error.reason, snapshot.revision)
        services.decision_log.note_refused_token(action_parts(question.action)[0], unverified, started=started)
        return TokenOutcome(error.reason, 401, challenge_of(services.refusals.unauthenticated[error.fault]))
    stored = replace(NO_SUBJECTS, tokens={token: principal})
    evaluator = Evaluator(snapshot, stored, services.decision_log, target=resolve_sent)
    async with services.decision_log.room_for(1):
        outcome = evaluator.evaluate(question)
    subject = _subject(principal, snapshot)
    if isinstance(outcome, Decision) and outcome.allowed:
        return TokenOutcome(outcome, 200, subject=subject)
    missing = outcome.scope if isinstance(outcome, Decision) else ()
    return TokenOutcome(outcome, 403, challenge_of(services.refusals.forbidden(missing)), subject=subject)


def _sender(question: Evaluation) -> str | None:
    """The address that sent the token; None if the service does not state it as `ip` of the context."""
    stated = (question.context or NOTHING).get("ip")
    address = parse_hop(stated) if isinstance(stated, str) and len(stated) <= MAX_HOP_BYTES else None
    return None if address is None else str(address)


def _is_covered(bound: str, question: Evaluation, snapshot: Snapshot, services: Services) -> bool:
    """Whether a token that is bound to a resource (RFC 8707) may be used for the resource of a question.

    A thing belongs to the whole deployment.
    """
    public_url = services.settings.public_url
    kind, identity, _ = entity_parts(question.resource)
    if kind != ROUTE_TYPE:
        return bound == public_url
    service, path = split_route(identity)
    if not service:
        return covers(bound, public_url, unquote(path))
    servers = next((each.servers for each in snapshot.policy.services if each.service == service), None)
    return servers is not None and covers_upstream(bound, servers, public_url, unquote(path))


def _subject(principal: Principal, snapshot: Snapshot) -> TokenSubject:
    identity = {"user": principal.subject, "key": str(principal.key_id), "app": principal.client_id or ""}
    kind = _TYPES[principal.method]
    return TokenSubject(
        kind,
        identity[kind],
        "" if kind == "user" else principal.subject,
        principal.organization.id if principal.organization else "",
        # Only known permissions, as for a service behind a gateway.
        tuple(sorted(snapshot.effective(principal.held) & snapshot.policy.catalog.keys())),
        principal.impersonator or "",
    )


def challenge_of(refusal: Refusal) -> str:
    """The header WWW-Authenticate of a refusal."""
    return next(value.decode() for name, value in refusal.headers if name == b"www-authenticate")
