"""Compares a log with its chain, a segment at a time, while servers write and delete rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.chain.canonical import KEY_FIELDS
from app.audit.chain.entry import FIRST_PREVIOUS, ChainHead, LogName
from app.audit.chain.faults import TABLE_NAMES, ChainFault, FaultKind, text_of
from app.audit.chain.retired import RetiredParts
from app.audit.chain.segment_check import SegmentCheck
from app.audit.chain.signatures import PublicKeys
from app.db import chain_store
from app.db.chain_rows import UNREADABLE, ChainReader, settled
from app.db.chain_store import StoredEntry
from app.db.hidden_rows import LOWEST_ID, has_lowest_id, hidden_ids
from app.db.session import Sessions

_PAGE = 1_000  # rows
_ENTRIES = 100  # that are read at once
_TRIES = 5  # of a segment whose rows are deleted while it is checked
# Rows, their keys and entries are read as of one time, since retention deletes them; on SQLite a transaction is that.
_ONE_TIME = {"isolation_level": "REPEATABLE READ"}


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What to check: all of a chain, or the rows of one day, in days since 1970.

    Without public keys, signatures are not checked. `heads` were noted earlier, and the chain must still have them. The
    entries up to those of `unsigned_until` may be unsigned, in a chain whose key was set later.
    """

    keys: PublicKeys
    day: int | None = None
    heads: Sequence[ChainHead] = ()
    unsigned_until: Sequence[ChainHead] = ()

    def may_be_unsigned(self, log: LogName, sequence: int) -> bool:
        """Whether an entry may be unsigned."""
        return not self.keys or any(head.log == log and sequence <= head.sequence for head in self.unsigned_until)


@dataclass(slots=True)
class LogCheck:
    """The state of a check of a log, and its result.

    `checked` rows were compared, `retired` were sealed and may be deleted, of which `left_over` are still there.
    `unsealed` rows are newer than the chain, the oldest of them from `unsealed_since`.
    """

    log: LogName
    entries: int = 0
    first: int | None = None
    head: ChainHead | None = None
    sealed_until: int | None = None  # when the head was made, in microseconds since 1970
    checked: int = 0
    retired: int = 0
    left_over: int = 0
    signed: int = 0
    unsigned: int = 0
    head_key: str | None = None  # the id of the key that signed the head
    unsealed: int = 0
    unsealed_since: int | None = None
    faults: int = 0
    notes: list[str] = field(default_factory=list)
    _found: list[ChainFault] = field(default_factory=list)

    def add(self, kind: FaultKind, message: str, entry: int | None = None) -> None:
        """Note a fault of the chain itself."""
        self._found.append(ChainFault(self.log, kind, message, entry))

    def extend(self, faults: Sequence[ChainFault]) -> None:
        """Note faults of rows."""
        self._found.extend(faults)

    def take(self) -> Sequence[ChainFault]:
        """The faults since the last call."""
        found, self._found = self._found, []
        self.faults += len(found)
        return found


async def check_log(
    sessions: Sessions, result: LogCheck, options: CheckOptions, on_progress: Callable[[LogCheck], None]
) -> AsyncIterator[ChainFault]:
    """Yield the faults of a log, and fill in `result`. Memory does not grow with the log."""
    log = result.log
    retired = await _retired_now(sessions, log)
    first_kept = retired.first_sequence  # the transaction that retired what is before it deleted its entries
    following = await _first_sequence(sessions, result)
    previous: StoredEntry | None = None
    heads = [head for head in (*options.heads, *options.unsigned_until) if head.log == log]
    while True:
        entries = await _entries(sessions, result, following)
        for stored in entries:
            sequence = stored.entry.sequence
            if previous is None:
                result.first = sequence
                retired = await _check_start(sessions, result, stored, retired)
            else:
                retired = await _check_link(sessions, result, stored, previous, retired)
            _check_entry(result, stored, options)
            _check_place(result, stored, first_kept, heads)
            if stored.entry.kind == "segment":
                retired = await _check_segment(sessions, result, stored, retired, options.day)
            previous, following = stored, sequence + 1
            result.entries += 1
            for fault in result.take():
                yield fault
            on_progress(result)
        if not entries:
            break
    if previous is not None:
        result.head, result.sealed_until = previous.head, previous.entry.at
        result.head_key = previous.signature.key_id if previous.signature else None
    for head in heads:
        _check_missing_head(result, head)
    await _count_unsealed(sessions, result, previous.entry.up_to_id if previous else 0)
    for fault in result.take():
        yield fault


async def _first_sequence(sessions: Sessions, result: LogCheck) -> int:
    """The sequence number of the oldest entry, whatever it is. Notes a fault for a row that no page of ids has."""
    log = result.log
    async with sessions() as session:
        first = await chain_store.first_sequence(session, log)
        if await has_lowest_id(session, log):
            message = f"row {LOWEST_ID} of {TABLE_NAMES[log]} was added: the ids of a log begin with 1"
            result.extend([ChainFault(log, "added", message, row_id=LOWEST_ID)])
    return 1 if first is None else first


async def _entries(sessions: Sessions, result: LogCheck, sequence: int) -> Sequence[StoredEntry]:
    """The next entries; fewer if a later one is unreadable, none if the first one is."""
    for size in (_ENTRIES, 1):
        try:
            async with sessions() as session:
                return await chain_store.entries_from(session, result.log, sequence, size)
        except UNREADABLE:
            async with sessions() as session:
                if await chain_store.first_sequence(session, result.log) is None:  # fails too if the database does
                    raise
    message = f"entry {sequence}, or one of its parts, has values that no program wrote: later ones are not checked"
    result.add("entry", message, sequence)
    return ()


async def _check_start(
    sessions: Sessions, result: LogCheck, stored: StoredEntry, retired: RetiredParts
) -> RetiredParts:
    """Check that the entries before the first one were deleted by retention, and that none of their rows is left."""
    entry = stored.entry
    if entry.sequence == 1:
        if entry.previous != FIRST_PREVIOUS or entry.after_id != 0:
            result.add("entry", "entry 1 does not begin the chain: it was altered", 1)
    elif entry.sequence > retired.first_sequence:
        retired = await _retired_now(sessions, result.log)  # retention may have deleted entries since
        if entry.sequence > retired.first_sequence:
            message = (
                f"entries 1 to {entry.sequence - 1} are missing, and no later entry says that retention deleted them"
            )
            result.add("missing_entry", message, entry.sequence)
    check = SegmentCheck(entry, (), lambda _: False)
    async with _at_one_time(sessions) as session:
        page = await ChainReader(result.log).page(session, -(2**63), entry.after_id, _PAGE)
    check.add(page.rows, page.without_key, page.unreadable, page.doubled)
    result.extend(list(check.faults()))
    return retired


async def _check_link(
    sessions: Sessions, result: LogCheck, stored: StoredEntry, previous: StoredEntry, retired: RetiredParts
) -> RetiredParts:
    """Check that an entry follows the one before. Return the retirements."""
    entry, before = stored.entry, previous.entry
    if entry.sequence != before.sequence + 1:
        retired = await _retired_now(sessions, result.log)
        if entry.sequence <= retired.first_sequence:  # retention deleted the entries before it in between
            result.first = entry.sequence
            return retired
        result.add(
            "missing_entry",
            f"the entries between {before.sequence} and {entry.sequence} are missing: they were removed",
            entry.sequence,
        )
    elif entry.previous != before.hash:
        message = f"entry {entry.sequence} does not follow entry {before.sequence}: one of both was altered"
        result.add("entry", message, entry.sequence)
    elif entry.after_id != before.up_to_id:
        result.add("entry", f"entry {entry.sequence} does not begin where entry {before.sequence} ends", entry.sequence)
    return retired


def _check_entry(result: LogCheck, stored: StoredEntry, options: CheckOptions) -> None:
    """Check the hash and the signature of an entry."""
    entry, signature = stored.entry, stored.signature
    moment = f"entry {entry.sequence} of {text_of(entry.at)}"
    if entry.hash != stored.hash:
        result.add("entry", f"{moment} was altered, or one of its parts: its hash differs", entry.sequence)
    if signature is None:
        result.unsigned += 1
        if not options.may_be_unsigned(entry.log, entry.sequence):
            result.add("signature", f"{moment} is not signed", entry.sequence)
    elif options.keys:
        if not options.keys.has(signature.key_id):
            message = f"{moment} is signed with the key {signature.key_id}, which is none of those given"
            result.add("signature", message, entry.sequence)
        elif options.keys.verify(entry.hash, signature):
            result.signed += 1
        else:
            result.add("signature", f"{moment} has a wrong signature: it was altered", entry.sequence)


def _check_place(result: LogCheck, stored: StoredEntry, first_kept: int, heads: Sequence[ChainHead]) -> None:
    """Check that the chain may have an entry with its number, and that it is the one of a given head."""
    sequence = stored.entry.sequence
    if sequence < first_kept:
        message = f"entry {sequence} was added, or is there again: the chain begins with entry {first_kept}"
        result.add("entry", message, sequence)
    for known in heads:
        if known.sequence == sequence and known.hash != stored.entry.hash:
            result.add("head", f"entry {sequence} is not the one of the given head {known}", sequence)


async def _check_segment(
    sessions: Sessions, result: LogCheck, stored: StoredEntry, retired: RetiredParts, day: int | None
) -> RetiredParts:
    """Compare the rows of a segment; retry if retention may have deleted some meanwhile. Return the retirements."""
    entry, log = stored.entry, result.log
    if entry.version not in KEY_FIELDS:
        message = f"entry {entry.sequence} is of a later release: verify it with that release"
        result.add("entry", message, entry.sequence)
        return retired
    if day is not None and all(part.part.day != day for part in stored.parts):
        return retired
    for attempt in range(1, _TRIES + 1):
        async with _at_one_time(sessions) as session:
            parts = await chain_store.with_digests(session, log, entry.sequence)
            check = SegmentCheck(entry, parts, lambda part: retired.covers(entry.sequence, part), day)  # noqa: B023  # called in this round
            reader, position = ChainReader(log, entry.version), entry.after_id
            while position < entry.up_to_id:
                page = await reader.page(session, position, entry.up_to_id, _PAGE)
                check.add(page.rows, page.without_key, page.unreadable, page.doubled)
                position = page.last_id
            if log == "decisions":
                check.add((), hidden=await hidden_ids(session, entry.after_id, entry.up_to_id, _PAGE, day))
        faults = list(check.faults())
        if not faults or attempt == _TRIES:
            break
        now = await _retired_now(sessions, log)
        if now.newest_sequence == retired.newest_sequence:
            break
        retired = now
    result.checked += check.checked
    result.retired += check.retired
    result.left_over += check.left_over
    result.extend(faults)
    return retired


def _check_missing_head(result: LogCheck, head: ChainHead) -> None:
    """Note a fault for a given head that the chain does not have, unless retention has deleted its entry."""
    newest = result.head.sequence if result.head else 0
    if head.sequence < (result.first or 1):
        result.notes.append(f"the given head {head} cannot be compared: retention has deleted its entry")
    elif head.sequence > newest:
        message = (
            f"the chain ends at entry {newest}, before the given head {head}: entries were removed, or the database "
            "was restored from a backup"
        )
        result.add("head", message, newest or None)


async def _count_unsealed(sessions: Sessions, result: LogCheck, after: int) -> None:
    """Count the rows after the head."""
    up_to, reader = await settled(sessions, result.log, after), ChainReader(result.log)
    position = after
    while position < up_to:
        async with _at_one_time(sessions) as session:
            page = await reader.page(session, position, up_to, _PAGE)
        result.unsealed += page.row_count
        for row_id in page.without_key:
            result.add(
                "without_key", f"row {row_id} refers to a row of decision_keys, or of its parts, that is missing"
            )
        for row_id in page.doubled:
            result.add("added", f"row {row_id} of decisions was added: {TABLE_NAMES['decisions']} has one with its id")
        if result.unsealed_since is None and page.rows:
            result.unsealed_since = page.rows[0].at
        position = page.last_id


async def _retired_now(sessions: Sessions, log: LogName) -> RetiredParts:
    async with sessions() as session:
        return RetiredParts(await chain_store.retirements(session, log))


@asynccontextmanager
async def _at_one_time(sessions: Sessions) -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        if session.get_bind().dialect.name == "postgresql":
            await session.connection(execution_options=_ONE_TIME)
        yield session
