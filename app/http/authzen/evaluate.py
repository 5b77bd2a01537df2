"""Decides what a caller asks about, under one policy and one look at the database."""

from __future__ import annotations

from collections.abc import Iterable

from litestar.datastructures import State

from app.db import asked_keys
from app.gateway.asked import ROUTE_TYPE, asked_target
from app.http.authzen.wire import NOTHING, Entity, Question, acted, lacking, named
from app.http.ids import read_id
from app.http.problems import Problem
from app.identity.errors import CannotVerify
from app.policy.asked import KEY_TYPE, NO_KEYS, Asked, Keys, NoSuchSubject, asked, asked_context
from app.policy.decision import Decision
from app.policy.snapshot import Snapshot
from app.policy.target import NoSuchTarget
from app.policy.when.shape import Properties

# A decision of the policy, or why nothing could be asked of it, which is a denial.
Outcome = Decision | str


async def keys_of(state: State, subjects: Iterable[Entity]) -> Keys:
    """What the database says of the keys among these subjects. Raises Problem 503 when it does not answer."""
    spelled = {str(subject.id): read_id(str(subject.id)) for subject in subjects if subject.type == KEY_TYPE}
    ids = [number for number in spelled.values() if number is not None]
    if not ids:
        return NO_KEYS
    try:
        found = await asked_keys.records(state.sessions, ids)
    except CannotVerify as fault:
        raise unavailable(fault) from None
    return Keys({str(record.id): record for record in found}, state.key_environments)


def unavailable(fault: CannotVerify) -> Problem:
    """The 503 for when nobody can tell what a key may do."""
    return Problem(503, fault.detail, headers={"Retry-After": str(fault.retry_after)})


class Evaluator:
    """Decides questions, all under the same snapshot."""

    __slots__ = ("_asked", "_last", "keys", "snapshot")

    def __init__(self, snapshot: Snapshot, keys: Keys = NO_KEYS) -> None:
        self.snapshot = snapshot
        self.keys = keys
        # Items mostly share the subject of the defaults.
        self._last: object = None
        self._asked: Asked | str = ""

    def answer(self, question: Question) -> Outcome:
        """The outcome of a question; one that lacks a required field is denied."""
        subject = question.subject
        if field := lacking(subject=subject, action=question.action, resource=question.resource):
            return f"`{field}` is missing"
        if subject is not self._last:
            self._last, self._asked = subject, self.known(*named(subject))
        if isinstance(self._asked, str):
            return self._asked
        return self.decide(self._asked, acted(question.action), named(question.resource), question.context or NOTHING)

    def known(self, kind: str, identity: str, sent: Properties) -> Asked | str:
        """The subject of a type and id, or why there is none."""
        try:
            return asked(kind, identity, sent, self.snapshot.policy.entities.subjects, self.keys)
        except NoSuchSubject as fault:
            return str(fault)

    def allows(
        self, who: Asked, action: tuple[str, Properties], resource: tuple[str, str, Properties], context: Properties
    ) -> bool:
        """Whether the outcome is to allow it."""
        outcome = self.decide(who, action, resource, context)
        return isinstance(outcome, Decision) and outcome.allowed

    def decide(
        self, who: Asked, action: tuple[str, Properties], resource: tuple[str, str, Properties], context: Properties
    ) -> Outcome:
        """Whether somebody may do an action, by its name and attributes, on the resource of a type and id."""
        kind, identity, sent = resource
        name, attributes = action
        snapshot = self.snapshot
        try:
            target = asked_target(snapshot, name, kind, identity)
        except NoSuchTarget as fault:
            return fault.message
        if not snapshot.has_conditions:
            return snapshot.decide(who.held, target.resource, name)
        entity = snapshot.policy.entities.resources.get((kind, identity))
        properties = {**entity.properties, **sent} if entity else sent
        about = ("route", target.resource, properties) if kind == ROUTE_TYPE else (kind, identity, properties)
        asks = asked_context(snapshot, who, target, resource=about, action=attributes, context=context)
        return snapshot.decide(who.held, target.resource, name, asks)
