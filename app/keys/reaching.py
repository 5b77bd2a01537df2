"""Finds the API keys that rules let in, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.db.session import Sessions
from app.identity.api_keys import principal_of
from app.keys import subjects
from app.policy.analysis.reach import Reach, outcome
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import Rule

PAGE_SIZE = 100
MAX_SCANNED = 5_000  # keys for one page


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """An active key that is allowed; `conditional` if that depends on a condition."""

    id: int
    owner: str
    conditional: bool


async def reaching(
    sessions: Sessions,
    snapshot: Snapshot,
    rules: Sequence[Rule],
    *,
    environments: Collection[str],
    now: datetime,
    after: int,
) -> tuple[list[KeyHolder], int | None]:
    """The active keys above an id that these rules let in, and the id to continue after; None at the end.

    Raises CannotVerify.
    """
    found: list[KeyHolder] = []
    scanned = 0
    while scanned < MAX_SCANNED:
        some = await subjects.active(sessions, environments=environments, now=now, after=after, limit=PAGE_SIZE)
        for record in some:
            after = record.id
            opened, _ = outcome(rules, snapshot.effective(principal_of(record).held))
            if opened is not Reach.NO:
                found.append(KeyHolder(record.id, record.subject, opened is Reach.CONDITIONAL))
                if len(found) == PAGE_SIZE:
                    return found, after
        if len(some) < PAGE_SIZE:
            return found, None
        scanned += len(some)
    return found, after
