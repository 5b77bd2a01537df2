"""What was asked about a moment ago, by the names that callers give, under the policy at hand."""

from __future__ import annotations

from typing import TypeVar
from weakref import ref

from app.gateway.resource_reference import resolve_target
from app.identity.principal import Principal
from app.policy.engine.resolved_subject import KEY_TYPE, ResolvedSubject, principal_of, resolve_subject
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import Target
from app.policy.language.when.shape import Properties

MAX_REMEMBERED = 5_000  # subjects, and as many targets
MAX_LENGTH = 256  # characters of its names together; what has longer ones is looked up each time
_Names = TypeVar("_Names", bound=tuple[str, ...])
_Found = TypeVar("_Found")


class Recent:
    """Subjects, each with the principal that it is to the decision log, and targets.

    All is forgotten as soon as another policy is asked.
    """

    def __init__(self) -> None:
        self._snapshot: ref[Snapshot] | None = None
        self._subjects: dict[tuple[str, str], tuple[ResolvedSubject, Principal]] = {}
        self._targets: dict[tuple[str, str, str], Target] = {}

    def subject(
        self, snapshot: Snapshot, kind: str, identity: str, sent: Properties
    ) -> tuple[ResolvedSubject, Principal] | None:
        """The subject of a type and id, where it depends on the policy alone: not on what is sent, nor on the database.

        Raises NoSuchSubject.
        """
        if sent or kind == KEY_TYPE:
            return None
        self._be_of(snapshot)
        found = self._subjects.get((kind, identity))
        if found is None:
            subject = resolve_subject(kind, identity, sent, snapshot.policy.entities.subjects)
            found = subject, principal_of(subject)
            _keep(self._subjects, (kind, identity), found)
        return found

    def target(self, snapshot: Snapshot, action: str, kind: str, identity: str) -> Target:
        """As `resolve_target`. Raises NoSuchTarget."""
        self._be_of(snapshot)
        found = self._targets.get((action, kind, identity))
        if found is None:
            found = resolve_target(snapshot, action, kind, identity)
            _keep(self._targets, (action, kind, identity), found)
        return found

    def _be_of(self, snapshot: Snapshot) -> None:
        if self._snapshot is None or self._snapshot() is not snapshot:
            self._snapshot, self._subjects, self._targets = ref(snapshot), {}, {}


def _keep(known: dict[_Names, _Found], names: _Names, found: _Found) -> None:
    if sum(map(len, names)) <= MAX_LENGTH:
        if len(known) >= MAX_REMEMBERED:
            known.clear()
        known[names] = found
