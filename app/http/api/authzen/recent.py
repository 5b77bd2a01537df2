"""Cache of resolved subjects and targets, by the names that callers send, for the active policy."""

from __future__ import annotations

from typing import TypeVar
from weakref import ref

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
MAX_LENGTH = 256  # characters of type, id and action in total; longer ones are not cached
_Names = TypeVar("_Names", bound=tuple[str, ...])
_Found = TypeVar("_Found")


class Recent:
    """A cache of subjects, with their principals for the decision log, and of targets.

    It is cleared when it is used with another policy.
    """

    def __init__(self) -> None:
        self._snapshot: ref[Snapshot] | None = None
        self._subjects: dict[tuple[str, str], tuple[ResolvedSubject, Principal]] = {}
        self._targets: dict[tuple[str, str, str], Target] = {}

    def subject(
        self, snapshot: Snapshot, kind: str, identity: str, sent: Properties
    ) -> tuple[ResolvedSubject, Principal] | None:
        """The subject with a type and id; None if it depends on sent attributes or on the database.

        Raises NoSuchSubject.
        """
        if sent or kind in (KEY_TYPE, APP_TYPE, TOKEN_TYPE):
            return None
        self._clear_if_changed(snapshot)
        found = self._subjects.get((kind, identity))
        if found is None:
            subject = resolve_subject(kind, identity, sent, snapshot.policy.entities.subjects)
            found = subject, principal_of(subject)
            _add(self._subjects, (kind, identity), found)
        return found

    def target(self, snapshot: Snapshot, action: str, kind: str, identity: str) -> Target:
        """Like `resolve_target`. Raises NoSuchTarget."""
        self._clear_if_changed(snapshot)
        found = self._targets.get((action, kind, identity))
        if found is None:
            found = resolve_target(snapshot, action, kind, identity)
            _add(self._targets, (action, kind, identity), found)
        return found

    def _clear_if_changed(self, snapshot: Snapshot) -> None:
        if self._snapshot is None or self._snapshot() is not snapshot:
            self._snapshot, self._subjects, self._targets = ref(snapshot), {}, {}


def _add(cache: dict[_Names, _Found], names: _Names, found: _Found) -> None:
    if sum(map(len, names)) <= MAX_LENGTH:
        if len(cache) >= MAX_ENTRIES:
            cache.clear()
        cache[names] = found
