"""Evaluation of AuthZEN requests, each under one policy and with one query of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter_ns

from app.audit.decision_class import AUTHZEN_DOOR
from app.audit.log import DecisionLog
from app.audit.record import Unverified, bounded
from app.gateway.resource_reference import ROUTE_TYPE, resolve_target
from app.http.api.authzen.recent import Recent
from app.http.api.authzen.wire import NOTHING, AccessQuestion, RequestedEntity, action_parts, entity_parts
from app.http.door.enforcement import decide
from app.http.wire.ids import read_id
from app.identity.principal import Principal
from app.keys import subjects as key_subjects
from app.oauth.consents import find_consents
from app.policy.engine.decision import Decision
from app.policy.engine.resolved_subject import (
    APP_TYPE,
    KEY_TYPE,
    NO_SUBJECTS,
    NoSuchSubject,
    ResolvedSubject,
    StoredSubjects,
    app_user,
    evaluation_context,
    principal_of,
    resolve_subject,
)
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget, Target
from app.policy.language.when.condition import NO_CONTEXT, Context
from app.policy.language.when.shape import Properties
from app.policy.language.when.shared import SharedReads
from app.services import Services

_Action = tuple[str, Properties]
_Resource = tuple[str, str, Properties]

# A decision of the policy, or the reason why there is none, which is a denial.
Outcome = Decision | str
_LoggedSubject = tuple[ResolvedSubject, Principal]  # the principal is for the decision log


async def stored_subjects(services: Services, subjects: Iterable[RequestedEntity]) -> StoredSubjects:
    """What is known of the keys and apps among these subjects.

    Raises CannotVerify if the database does not answer.
    """
    subjects = [subject for subject in subjects if subject.type in (KEY_TYPE, APP_TYPE)]
    parsed = {str(subject.id): read_id(str(subject.id)) for subject in subjects if subject.type == KEY_TYPE}
    ids = [number for number in parsed.values() if number is not None]
    apps = {(str(subject.id), app_user(entity_parts(subject)[2])) for subject in subjects if subject.type == APP_TYPE}
    pairs = [(client_id, user) for client_id, user in apps if user is not None]
    if not ids and not pairs:
        return NO_SUBJECTS
    servers = _authorization_servers(services) if pairs else frozenset()
    pairs = [pair for pair in pairs if pair[0].partition("/")[0] not in servers]
    found = await key_subjects.records(services.sessions, ids) if ids else ()
    return StoredSubjects(
        {str(record.id): record for record in found},
        services.settings.key_environments,
        await find_consents(services.sessions, pairs) if pairs else {},
        servers,
    )


def _authorization_servers(services: Services) -> frozenset[str]:
    issuers = (each.issuer for each in services.issuers.verifiers)
    return frozenset(issuer.name for issuer in issuers if issuer.is_delegating is not False)


class Evaluator:
    """Evaluates access questions under one snapshot, and writes the decisions to `log` if there is one.

    `recent` caches subjects and targets; a search has none, because it uses each candidate once. Without it `target`
    finds targets. `shared` are the
    variables of conditions that are the same in all questions. The variables that questions have from `defaults` are
    the same in those questions.
    """

    __slots__ = (
        "_default_reads",
        "_defaults",
        "_log",
        "_recent",
        "_shared",
        "_subject",
        "_subject_entity",
        "_target",
        "snapshot",
        "stored",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        stored: StoredSubjects = NO_SUBJECTS,
        log: DecisionLog | None = None,
        recent: Recent | None = None,
        *,
        target: Callable[[Snapshot, str, str, str], Target] = resolve_target,
        shared: Iterable[str] = (),
        defaults: AccessQuestion | None = None,
    ) -> None:
        self.snapshot = snapshot
        self._shared = SharedReads(shared) if shared else None
        self._defaults = defaults
        self._default_reads: dict[tuple[str, ...], SharedReads] = {}
        self.stored = stored
        self._log = log
        self._recent = recent
        self._target = recent.target if recent else target
        # The last subject: most items have that of the defaults.
        self._subject_entity: object = None
        self._subject: _LoggedSubject | str = ""

    def evaluate(self, question: AccessQuestion) -> Outcome:
        """Evaluate a complete question, and log the outcome."""
        started = perf_counter_ns()
        if question.subject is not self._subject_entity:
            self._subject_entity = question.subject
            self._subject = self._resolve_logged(*entity_parts(question.subject))
        action, resource = action_parts(question.action), entity_parts(question.resource)
        if isinstance(self._subject, str):
            return self._deny(self._subject, action[0], None, started)
        subject, principal = self._subject
        if self._defaults is not None:
            self._shared = self._reads_of_defaults(question, self._defaults)
        try:
            target = self._target(self.snapshot, action[0], resource[0], resource[1])
        except NoSuchTarget as fault:
            return self._deny(fault.message, action[0], principal, started)
        return decide(
            self.snapshot,
            self._log,
            door=AUTHZEN_DOOR,
            held=subject.held,
            principal=principal,
            resource=target.resource,
            action=action[0],
            context=self._context(subject, target, action, resource, question.context or NOTHING),
            started=started,
        )

    def _deny(self, reason: str, action: str, principal: Principal | None, started: int) -> str:
        if self._log:
            self._log.note(
                AUTHZEN_DOOR, "", action, principal, Unverified(reason, self.snapshot.revision), started=started
            )
        return reason

    def _reads_of_defaults(self, question: AccessQuestion, defaults: AccessQuestion) -> SharedReads | None:
        """The cached reads of the variables that a question has from the defaults."""
        subject = ("subject",) if question.subject is defaults.subject else ()
        variables = (*subject, "context") if question.context is defaults.context else subject
        return self._default_reads.setdefault(variables, SharedReads(variables)) if variables else None

    def _resolve_logged(self, kind: str, identity: str, sent: Properties) -> _LoggedSubject | str:
        try:
            found = self._recent.subject(self.snapshot, kind, identity, sent) if self._recent else None
        except NoSuchSubject as fault:
            return str(fault)
        if found is not None:
            return found
        subject = self.resolve(kind, identity, sent)
        return subject if isinstance(subject, str) else (subject, bounded(principal_of(subject)))

    def resolve(self, kind: str, identity: str, sent: Properties) -> ResolvedSubject | str:
        """The subject with a type and id, or the reason why there is none."""
        try:
            return resolve_subject(kind, identity, sent, self.snapshot.policy.entities.subjects, self.stored)
        except NoSuchSubject as fault:
            return str(fault)

    def allows(self, subject: ResolvedSubject, action: _Action, resource: _Resource, context: Properties) -> bool:
        """Whether a subject may do an action, by its name and attributes, on the resource of a type and id."""
        snapshot, name = self.snapshot, action[0]
        try:
            target = self._target(snapshot, name, resource[0], resource[1])
        except NoSuchTarget:
            return False
        variables = self._context(subject, target, action, resource, context)
        return snapshot.decide(subject.held, target.resource, name, variables).allowed

    def _context(
        self, subject: ResolvedSubject, target: Target, action: _Action, resource: _Resource, context: Properties
    ) -> Context:
        """The variables that conditions may read."""
        if not self.snapshot.is_conditional(target.resource, target.action):
            return NO_CONTEXT
        kind, identity, sent = resource
        entity = self.snapshot.policy.entities.resources.get((kind, identity))
        properties = {**entity.properties, **sent} if entity else sent
        entity_variable = (kind, target.resource if kind == ROUTE_TYPE else identity, properties)
        return evaluation_context(
            self.snapshot,
            subject,
            target,
            resource=entity_variable,
            action=action[1],
            context=context,
            shared=self._shared,
        )
