"""Reads rows of the decision log and of the admin log as the hash chain covers them, in the order of their ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.audit.admin_log import AdminFilter
from app.audit.chain.canonical import (
    VERSION,
    admin_digest,
    decision_digest,
    key_digest,
    microseconds_of,
    row_digest,
    token_part,
)
from app.audit.chain.entry import LogName
from app.audit.chain.segment import ChainRow
from app.audit.decision_class import DecisionClass, class_of
from app.audit.decision_filter import DecisionFilter
from app.audit.give_way import GiveWay, yield_to_loop
from app.audit.record import DecisionKey, Record
from app.db import admin_actions, decision_search, former_decisions
from app.db.compact_ids import expand, expand_request_id
from app.db.decision_filters import load_keys
from app.db.decision_times import join_time, split_time
from app.db.decision_writer import MAX_LATENCY
from app.db.log_records import LoggedRecord
from app.db.row_order import by_id, dialect_of, ids_after
from app.db.session import Sessions
from app.db.settled import settled_decision_id, settled_id
from app.db.stored_rows import StoredRow, stored_rows
from app.db.tables.base import table_of
from app.db.tables.decisions import DecisionRow, LoggedDecision
from app.db.tables.history import AdminAction

_MAX_CACHED = 20_000  # keys
_SLICE = 100  # rows that are hashed before the event loop runs other tasks, in 0.3 ms
_rows = table_of(DecisionRow)
TABLES: dict[LogName, tuple[Table, ...]] = {
    # The table of the previous release first: see `app.db.decisions`.
    "decisions": (table_of(LoggedDecision), _rows),
    "admin": (table_of(AdminAction),),
}


# What values that no program wrote may raise when they are read, such as bytes that are no text.
UNREADABLE = (SQLAlchemyError, ValueError, TypeError, LookupError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class ChainPage:
    """Rows with ids up to `last_id`, of which there is none that was not read.

    `without_key` are the ids of rows whose decision key is missing, `unreadable` those of rows with values that no
    program wrote. Those in `doubled` have another row in the table of the previous release.
    """

    rows: Sequence[ChainRow]
    last_id: int
    without_key: Sequence[int] = ()
    unreadable: Sequence[int] = ()
    doubled: Sequence[int] = ()

    @property
    def row_count(self) -> int:
        """The number of all rows."""
        return len(self.rows) + len(self.without_key) + len(self.unreadable) + len(self.doubled)


class ChainReader:
    """Reads pages of a log in a version of the canonical form; for one segment, since it caches keys of decisions."""

    def __init__(self, log: LogName, version: int = VERSION, between_slices: GiveWay = yield_to_loop) -> None:
        """`between_slices` is awaited while the rows of a page are hashed."""
        self._log = log
        self._reader: _Reader = (
            _DecisionReader(version, between_slices) if log == "decisions" else _AdminReader(version)
        )

    async def page(self, session: AsyncSession, after: int, up_to: int, size: int) -> ChainPage:
        """The first rows after an id and up to another one, at most `size`; fewer if some are unreadable."""
        try:
            return await self._reader.page(session, after, up_to, size)
        except UNREADABLE:
            row_id = await lowest_id(session, self._log, after)  # fails too if the database does
            if row_id is None or row_id > up_to:
                raise
        if size > 1:
            return await self.page(session, after, up_to, size // 8 or 1)
        return ChainPage((), row_id, unreadable=(row_id,))


class _Reader(Protocol):
    async def page(self, session: AsyncSession, after: int, up_to: int, size: int) -> ChainPage: ...


async def settled(sessions: Sessions, log: LogName, after: int) -> int:
    """The id up to which a log is settled, which is at least `after`."""
    if log == "decisions":
        return max(after, await settled_decision_id(sessions))
    return await settled_id(sessions, table_of(AdminAction), after)


def is_within(dialect: str, table: Table, after: int, up_to: int) -> ColumnElement[bool]:
    """The condition on rows of a table of a log with ids greater than `after`, and at most `up_to`."""
    if table is _rows:
        return ids_after(dialect, after, up_to)
    return (table.c.id > after) & (table.c.id <= up_to)


async def lowest_id(session: AsyncSession | AsyncConnection, log: LogName, after: int = -(2**63)) -> int | None:
    """The smallest id of a log that is greater than `after`; None if there is none."""
    # Not at once: while a row is moved to the second table, it is in the first or in both.
    dialect = dialect_of(session)
    found = []
    for table in TABLES[log]:
        first = select(table.c.id).where(table.c.id > after).order_by(table.c.id)
        if table is _rows:
            first = select(_rows.c.id).where(ids_after(dialect, after)).order_by(*by_id(dialect))
        found.append(await session.scalar(first.limit(1)))
    return min((row_id for row_id in found if row_id is not None), default=None)


class _DecisionReader:
    def __init__(self, version: int, between_slices: GiveWay) -> None:
        self._version = version
        self._between_slices = between_slices
        self._newest_former: int | None = None
        self._keys: dict[int, DecisionKey] = {}
        self._of_key: dict[int, tuple[DecisionKey, bytes, DecisionClass]] = {}
        # By the identity of a key, which the entry refers to.
        self._digests: dict[int, tuple[DecisionKey, bytes, DecisionClass]] = {}

    async def page(self, session: AsyncSession, after: int, up_to: int, size: int) -> ChainPage:
        if len(self._digests) > _MAX_CACHED:
            self._keys.clear()
            self._of_key.clear()
            self._digests.clear()
        if self._newest_former is None:
            # Those that are written from now on have greater ids than the rows of this segment.
            self._newest_former = await former_decisions.newest_id(session)
        has_former = self._newest_former > after
        if not has_former and (rows := await stored_rows(session, after, up_to, size)) is not None:
            try:
                return await self._hashed(session, rows, up_to, size)
            except UNREADABLE:  # of some row: records show which, and in what way
                pass
        return await self._page_of_records(session, after, up_to, size, has_former=has_former)

    async def _hashed(self, session: AsyncSession, rows: Sequence[StoredRow], up_to: int, size: int) -> ChainPage:
        """The page of rows, in a fifth of the time that records of them take."""
        found, without_key = list[ChainRow](), list[int]()
        known_keys, from_hex = self._of_key, bytes.fromhex
        if missing := {row[1] for row in rows} - known_keys.keys():
            self._keys.update(await load_keys(session, missing - self._keys.keys()))
            for number, key_id in enumerate(missing & self._keys.keys(), 1):
                known_keys[key_id] = self._digest(self._keys[key_id])
                if number % _SLICE == 0:
                    await self._between_slices()
        for start in range(0, len(rows), _SLICE):
            if start:
                await self._between_slices()
            for row_id, key_id, second, microsecond, latency, count, digits, token in rows[start : start + _SLICE]:
                known = known_keys.get(key_id)
                if known is None:
                    without_key.append(row_id)
                    continue
                at = join_time(second, microsecond)
                request_id = expand_request_id(from_hex(digits), at)
                digest = row_digest((row_id, at, latency, count or 1), request_id, _token_part(token), known[1])
                found.append(ChainRow(row_id, at, known[2], digest))
        return ChainPage(found, rows[-1][0] if len(rows) == size else up_to, without_key)

    async def _page_of_records(
        self, session: AsyncSession, after: int, up_to: int, size: int, *, has_former: bool
    ) -> ChainPage:
        former = []
        if has_former:
            former = await former_decisions.following(session, DecisionFilter(), after, size, up_to)
        found, ids = await decision_search.between_ids(session, after, up_to, size, self._keys)
        # A decision that was moved in between is in both, and is the same.
        moved, stored = {row.id: _as_moved(row) for row in former}, {row.id: row for row in found}
        rows = {**moved, **stored}
        chosen = sorted({*ids, *rows})[:size]
        return ChainPage(
            [self._row(rows[row_id]) for row_id in chosen if row_id in rows],
            chosen[-1] if len(chosen) == size else up_to,
            [row_id for row_id in chosen if row_id not in rows],
            doubled=[row_id for row_id in chosen if row_id in moved and self._differs(moved[row_id], stored, ids)],
        )

    def _differs(self, moved: LoggedRecord, stored: Mapping[int, LoggedRecord], ids: Sequence[int]) -> bool:
        """Whether the table of this release has another row with the id of a former one."""
        own = stored.get(moved.id)
        return moved.id in ids if own is None else self._row(own).digest != self._row(moved).digest

    def _row(self, row: LoggedRecord) -> ChainRow:
        record = row.record
        _, digest, part_class = self._digest(record.key)
        return ChainRow(row.id, record.at, part_class, decision_digest(row.id, record, digest))

    def _digest(self, key: DecisionKey) -> tuple[DecisionKey, bytes, DecisionClass]:
        cached = self._digests.get(id(key))
        if cached is None:
            cached = (key, key_digest(key, self._version), class_of(key.door, key.method))
            self._digests[id(key)] = cached
        return cached


@lru_cache(maxsize=2_000)  # callers send a token many times
def _token_part(digits: str | None) -> bytes:
    return token_part(None if digits is None else expand(bytes.fromhex(digits)))


def _as_moved(row: LoggedRecord) -> LoggedRecord:
    """A decision of the previous release, as it is after it was moved."""
    record = row.record
    at, latency = join_time(*split_time(record.at)), min(record.latency, MAX_LATENCY)
    if (at, latency) == (record.at, record.latency):
        return row
    return LoggedRecord(row.id, Record(at, latency, *record[2:]))


class _AdminReader:
    def __init__(self, version: int) -> None:
        self._version = version

    async def page(self, session: AsyncSession, after: int, up_to: int, size: int) -> ChainPage:
        acts = await admin_actions.following(session, AdminFilter(), after=after, up_to=up_to, limit=size)
        rows = [ChainRow(act.id, microseconds_of(act.time), "admin", admin_digest(act, self._version)) for act in acts]
        return ChainPage(rows, rows[-1].id if len(rows) == size else up_to)
