"""The logs of which the export sends records: each read in the order of ids, up to the id where it is settled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple, Protocol

from app.audit.admin_log import AdminFilter
from app.audit.decision_filter import DecisionFilter
from app.db import admin_actions, chain_store, decision_deletions, decision_drops, decisions
from app.db.session import Sessions
from app.db.settled import settled_decision_id, settled_id
from app.db.tables.base import table_of
from app.db.tables.chain import ChainEntryRow
from app.db.tables.decision_drops import DecisionDrop
from app.db.tables.history import AdminAction
from app.siem.admin_events import admin_event
from app.siem.decision_events import decision_event
from app.siem.event import Event
from app.siem.log_events import deletion_event, drop_event, seal_event

LogName = Literal["decisions", "admin", "drops", "deletions", "seals"]


class ExportRecord(NamedTuple):
    """A record of a log with its id, and the function that makes an event of it, which is called a few at a time."""

    id: int
    event: Callable[[], Event]


class LogReader(Protocol):
    """A log. Both methods raise the errors of SQLAlchemy."""

    @property
    def name(self) -> LogName:
        """The name in the table of cursors."""

    async def newest(self, after: int) -> int:
        """The id up to which the log is settled, at least `after`."""

    async def read(self, after: int, until: int, limit: int) -> Sequence[ExportRecord]:
        """The first records after an id and up to another, at most `limit`."""


class DecisionReader:
    """The decision log."""

    name: LogName = "decisions"

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def newest(self, after: int) -> int:
        return max(await settled_decision_id(self._sessions), after)

    async def read(self, after: int, until: int, limit: int) -> Sequence[ExportRecord]:
        async with self._sessions() as session:
            rows = await decisions.stored_after(session, DecisionFilter(), after, limit)
        return [ExportRecord(row.id, partial(decision_event, row)) for row in rows if row.id <= until]


class AdminReader:
    """The admin log."""

    name: LogName = "admin"

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def newest(self, after: int) -> int:
        return await settled_id(self._sessions, table_of(AdminAction), after)

    async def read(self, after: int, until: int, limit: int) -> Sequence[ExportRecord]:
        async with self._sessions() as session:
            acts = await admin_actions.following(session, AdminFilter(), after=after, limit=limit)
        return [ExportRecord(act.id, partial(admin_event, act)) for act in acts if act.id <= until]


class DropReader:
    """What the decision log lost. A window that goes on gets a new id, and is read again."""

    name: LogName = "drops"

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def newest(self, after: int) -> int:
        return await settled_id(self._sessions, table_of(DecisionDrop), after)

    async def read(self, after: int, until: int, limit: int) -> Sequence[ExportRecord]:
        async with self._sessions() as session:
            windows = await decision_drops.following(session, after, limit)
        return [ExportRecord(row_id, partial(drop_event, window)) for row_id, window in windows if row_id <= until]


class DeletionReader:
    """What was deleted since the decision log was too large: periods that are over."""

    name: LogName = "deletions"

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def newest(self, after: int) -> int:
        async with self._sessions() as session:
            return max(await decision_deletions.newest_complete_id(session), after)

    async def read(self, after: int, until: int, limit: int) -> Sequence[ExportRecord]:
        async with self._sessions() as session:
            deletions = await decision_deletions.following(session, after, limit)
        return [
            ExportRecord(row_id, partial(deletion_event, row_id, each)) for row_id, each in deletions if row_id <= until
        ]


class SealReader:
    """The hash chains over the decision log and the admin log."""

    name: LogName = "seals"

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def newest(self, after: int) -> int:
        return await settled_id(self._sessions, table_of(ChainEntryRow), after)

    async def read(self, after: int, until: int, limit: int) -> Sequence[ExportRecord]:
        async with self._sessions() as session:
            entries = await chain_store.following(session, after, limit)
        return [ExportRecord(row_id, partial(seal_event, row_id, each)) for row_id, each in entries if row_id <= until]
