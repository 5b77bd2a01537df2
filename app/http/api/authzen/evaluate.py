"""Decides what a caller asks about, under one policy and one look at the database."""

from __future__ import annotations

from collections.abc import Iterable
from time import perf_counter_ns

from app.audit.log import DecisionLog
from app.audit.record import Unverified
from app.gateway.resource_reference import ROUTE_TYPE, resolve_target
from app.http.api.authzen.recent import Recent
from app.http.api.authzen.wire import NOTHING, AccessQuestion, RequestedEntity, acted, named
from app.http.door.enforcement import decide
from app.http.wire.ids import read_id
from app.identity.principal import Principal
from app.keys import subjects as asked_keys
from app.policy.engine.decision import Decision
from app.policy.engine.resolved_subject import (
    KEY_TYPE,
    NO_KEYS,
    Keys,
    NoSuchSubject,
    ResolvedSubject,
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

DOOR = "authzen"  # in the decision log
_Action = tuple[str, Properties]
_Resource = tuple[str, str, Properties]

# A decision of the policy, or why nothing could be asked of it, which is a denial.
Outcome = Decision | str
_LoggedSubject = tuple[ResolvedSubject, Principal]  # and the principal that it is to the decision log


async def keys_of(services: Services, subjects: Iterable[RequestedEntity]) -> Keys:
    """What the database says of the keys among these subjects. Raises CannotVerify when it does not answer."""
    spelled = {str(subject.id): read_id(str(subject.id)) for subject in subjects if subject.type == KEY_TYPE}
    ids = [number for number in spelled.values() if number is not None]
    if not ids:
        return NO_KEYS
    found = await asked_keys.records(services.sessions, ids)
    return Keys({str(record.id): record for record in found}, services.settings.key_environments)


class Evaluator:
    """Decides questions, all under the same snapshot. With a `log`, each answer is noted there.

    `recent` is what was asked about before; a search asks about each thing once. `shared` are the variables of
    conditions that are the same in all questions; those that a question has from `defaults` are the same in all of
    those questions.
    """

    __slots__ = (
        "_asked",
        "_by_default",
        "_defaults",
        "_last",
        "_log",
        "_recent",
        "_shared",
        "_target",
        "keys",
        "snapshot",
    )

    def __init__(
        self,
        snapshot: Snapshot,
        keys: Keys = NO_KEYS,
        log: DecisionLog | None = None,
        recent: Recent | None = None,
        *,
        shared: Iterable[str] = (),
        defaults: AccessQuestion | None = None,
    ) -> None:
        self.snapshot = snapshot
        self._shared = SharedReads(shared) if shared else None
        self._defaults = defaults
        self._by_default: dict[tuple[str, ...], SharedReads] = {}
        self.keys = keys
        self._log = log
        self._recent = recent
        self._target = recent.target if recent else resolve_target
        # Items mostly share the subject of the defaults.
        self._last: object = None
        self._asked: _LoggedSubject | str = ""

    def answer(self, question: AccessQuestion) -> Outcome:
        """The outcome of a question that lacks nothing, noted in the log."""
        started = perf_counter_ns()
        if question.subject is not self._last:
            self._last = question.subject
            self._asked = self._who(*named(question.subject))
        action, resource = acted(question.action), named(question.resource)
        if isinstance(self._asked, str):
            return self._without_decision(self._asked, action[0], None, started)
        subject, principal = self._asked
        if self._defaults is not None:
            self._shared = self._reads_by_default(question, self._defaults)
        try:
            target = self._target(self.snapshot, action[0], resource[0], resource[1])
        except NoSuchTarget as fault:
            return self._without_decision(fault.message, action[0], principal, started)
        return decide(
            self.snapshot,
            self._log,
            door=DOOR,
            principal=principal,
            resource=target.resource,
            action=action[0],
            context=self._context(subject, target, action, resource, question.context or NOTHING),
            started=started,
        )

    def _without_decision(self, reason: str, action: str, principal: Principal | None, started: int) -> str:
        if self._log:
            self._log.note(DOOR, "", action, principal, Unverified(reason, self.snapshot.revision), started=started)
        return reason

    def _reads_by_default(self, question: AccessQuestion, defaults: AccessQuestion) -> SharedReads | None:
        """What conditions read of the variables that a question has from the defaults."""
        subject = ("subject",) if question.subject is defaults.subject else ()
        variables = (*subject, "context") if question.context is defaults.context else subject
        return self._by_default.setdefault(variables, SharedReads(variables)) if variables else None

    def _who(self, kind: str, identity: str, sent: Properties) -> _LoggedSubject | str:
        try:
            found = self._recent.subject(self.snapshot, kind, identity, sent) if self._recent else None
        except NoSuchSubject as fault:
            return str(fault)
        if found is not None:
            return found
        who = self.known(kind, identity, sent)
        return who if isinstance(who, str) else (who, principal_of(who))

    def known(self, kind: str, identity: str, sent: Properties) -> ResolvedSubject | str:
        """The subject of a type and id, or why there is none."""
        try:
            return resolve_subject(kind, identity, sent, self.snapshot.policy.entities.subjects, self.keys)
        except NoSuchSubject as fault:
            return str(fault)

    def allows(self, who: ResolvedSubject, action: _Action, resource: _Resource, context: Properties) -> bool:
        """Whether a subject may do an action, by its name and attributes, on the resource of a type and id."""
        snapshot, name = self.snapshot, action[0]
        try:
            target = self._target(snapshot, name, resource[0], resource[1])
        except NoSuchTarget:
            return False
        asks = self._context(who, target, action, resource, context)
        return snapshot.decide(who.held, target.resource, name, asks).allowed

    def _context(
        self, who: ResolvedSubject, target: Target, action: _Action, resource: _Resource, context: Properties
    ) -> Context:
        """What conditions may read of a question."""
        if not self.snapshot.has_conditions:
            return NO_CONTEXT
        kind, identity, sent = resource
        entity = self.snapshot.policy.entities.resources.get((kind, identity))
        properties = {**entity.properties, **sent} if entity else sent
        about = (kind, target.resource if kind == ROUTE_TYPE else identity, properties)
        return evaluation_context(
            self.snapshot, who, target, resource=about, action=action[1], context=context, shared=self._shared
        )
