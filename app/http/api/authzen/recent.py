"""Cache of resolved subjects, targets and whole questions, as callers send them, for the active policy."""

from __future__ import annotations

from typing import TypeVar
from weakref import ref

from app.audit.record import bounded
from app.gateway.resource_reference import resolve_target
from app.identity.principal import Principal
from app.policy.engine.resolved_subject import (
    APP_TYPE,
    KEY_TYPE,
    TOKEN_TYPE,
    ResolvedSubject,
    principal_of,
    resolve_subject,
)
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import Target
from app.policy.language.when.shape import Properties

MAX_ENTRIES = 5_000  # subjects, and as many targets
MAX_GRANTS = 20_000  # of all subjects and questions, in some 150 bytes each
MAX_LENGTH = 256  # characters of the names in total; longer ones are not cached
MAX_PERMISSIONS = 50  # of a cached subject
MAX_BODY_BYTES = 512  # of a question; longer ones are not cached
RecentQuestion = tuple[Principal, str, str]  # for the decision log; the resource and the action to decide about
_PERMISSIONS = "permissions"
_TEXT = frozenset((str,))
_Names = TypeVar("_Names", bound=tuple[str, ...])
_Found = TypeVar("_Found")


class Recent:
    """A cache of subjects, with their principals for the decision log, of targets, and of questions by their text.

    It is cleared when it is used with another policy.
    """

    def __init__(self) -> None:
        self._snapshot: ref[Snapshot] | None = None
        self._subjects: dict[tuple[str, ...], tuple[ResolvedSubject, Principal]] = {}
        self._targets: dict[tuple[str, str, str], Target] = {}
        self._questions: dict[bytes, RecentQuestion] = {}
        self._grants = 0

    def subject(
        self, snapshot: Snapshot, kind: str, identity: str, sent: Properties
    ) -> tuple[ResolvedSubject, Principal] | None:
        """The subject with a type and id; None if it depends on the database, or on other attributes than permissions.

        Raises NoSuchSubject.
        """
        if kind in (KEY_TYPE, APP_TYPE, TOKEN_TYPE):
            return None
        names: tuple[str, ...] = (kind, identity)
        if sent:
            permissions = _only_permissions(sent)
            if permissions is None:
                return None
            names = (*names, _PERMISSIONS, *permissions)
        self._clear_if_changed(snapshot)
        found = self._subjects.get(names)
        if found is None:
            subject = resolve_subject(kind, identity, sent, snapshot.policy.entities.subjects)
            found = subject, bounded(principal_of(subject))
            self._count_grants(found[1])
            _add(self._subjects, names, found)
        return found

    def target(self, snapshot: Snapshot, action: str, kind: str, identity: str) -> Target:
        """Like `resolve_target`. Raises NoSuchTarget."""
        self._clear_if_changed(snapshot)
        found = self._targets.get((action, kind, identity))
        if found is None:
            found = resolve_target(snapshot, action, kind, identity)
            _add(self._targets, (action, kind, identity), found)
        return found

    def question(self, snapshot: Snapshot, body: bytes) -> RecentQuestion | None:
        """What a body means that was asked before, if that depends on nothing but the policy."""
        self._clear_if_changed(snapshot)
        return self._questions.get(body)

    def add_question(
        self, snapshot: Snapshot, body: bytes, subject: tuple[str, str, Properties], target: tuple[str, str, str]
    ) -> None:
        """Add a question that was evaluated, by its body: the parts of its subject, and action, type and id.

        It is left out if the principal depends on more than the policy.
        """
        if len(body) > MAX_BODY_BYTES:
            return
        found = self.subject(snapshot, *subject)
        if found is None or found[1].held != found[0].held:
            return
        self._count_grants(found[1])
        if len(self._questions) >= MAX_ENTRIES:
            self._questions.clear()
        self._questions[body] = found[1], self.target(snapshot, *target).resource, target[0]

    def _count_grants(self, principal: Principal) -> None:
        """Count the grants of an entry, and clear the cache if they are too many."""
        if self._grants > MAX_GRANTS:
            self._grants, self._subjects, self._questions = 0, {}, {}
        self._grants += len(principal.held)

    def _clear_if_changed(self, snapshot: Snapshot) -> None:
        if self._snapshot is None or self._snapshot() is not snapshot:
            self._snapshot, self._subjects, self._targets, self._questions = ref(snapshot), {}, {}, {}
            self._grants = 0


def _only_permissions(sent: Properties) -> list[str] | None:
    """The permissions, if they are all of the attributes of a subject, and a short list of text; else None."""
    found = sent.get(_PERMISSIONS)
    if len(sent) != 1 or not isinstance(found, list) or len(found) > MAX_PERMISSIONS:
        return None
    return found if _TEXT.issuperset(map(type, found)) else None


def _add(cache: dict[_Names, _Found], names: _Names, found: _Found) -> None:
    if sum(map(len, names)) <= MAX_LENGTH:
        if len(cache) >= MAX_ENTRIES:
            cache.clear()
        cache[names] = found
