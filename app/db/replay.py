"""Reads the log for a replay: the database counts decisions by their keys, one interval of time after another."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.record import DecisionKey, StatedGrants
from app.audit.replay import Occurrences, Replay, ReplayKey
from app.audit.replay_view import ReplayProgress, ReplayResult, result
from app.db.compact_ids import expand_request_id
from app.db.decision_filters import load_keys
from app.db.decision_times import join_time, split_time
from app.db.row_order import dialect_of, id_in, seconds_between
from app.db.session import Sessions
from app.db.shielded import shielded
from app.db.tables.base import table_of
from app.db.tables.decisions import DecisionRow, LoggedDecision
from app.db.tables.decisions import GrantSet as GrantSetRow

SLICES = 10
_BATCH_SIZE = 500
_MAX_KNOWN = 200_000  # keys and grant sets that are cached between intervals
_rows = table_of(DecisionRow)
_former = table_of(LoggedDecision)  # of the previous release: see `app.db.former_decisions`
_grant_sets = table_of(GrantSetRow)
_GROUPED = ("grant_set_id", "method", "subject", "key_id", "resource", "action", "allowed")
_Groups = dict[ReplayKey, Occurrences]
# Both tables are read as of one time, so that a decision that is moved counts once; on SQLite a transaction is that.
_ONE_TIME = {"isolation_level": "REPEATABLE READ"}


async def equal_decisions(
    sessions: Sessions, since: int, until: int, slices: int = SLICES
) -> AsyncGenerator[Sequence[tuple[ReplayKey, Occurrences]]]:
    """Groups of equal decisions from `since` until before `until`, in microseconds since 1970; a list each interval."""
    known: dict[int, ReplayKey] = {}
    sets: dict[int, StatedGrants] = {}
    bounds = [since + (until - since) * number // slices for number in range(slices + 1)]
    for start, end in pairwise(bounds):
        for cache in (known, sets):
            if len(cache) > _MAX_KNOWN:
                cache.clear()
        async with sessions() as session:
            if session.get_bind().dialect.name == "postgresql":
                await session.connection(execution_options=_ONE_TIME)
            groups: defaultdict[ReplayKey, Occurrences] = defaultdict(lambda: Occurrences(0, 0))
            for group, times in [
                *await _groups(session, known, start, end),
                *await _former_groups(session, sets, start, end),
            ]:
                before = groups[group]
                groups[group] = Occurrences(before.number + times.number, max(before.last_id, times.last_id))
        yield list(groups.items())


async def replay_steps(
    sessions: Sessions, replay: Replay, times: tuple[int, int], *, last: str, limit: int | None = None, slices: int
) -> AsyncGenerator[ReplayProgress | ReplayResult]:
    """Replay the decisions between two times, in microseconds since 1970; the result comes last.

    It has at most `limit` changes, and `last` as the name of the time. Raises the errors of the database.
    """
    async with aclosing(equal_decisions(sessions, *times, slices=slices)) as found:
        for done in range(1, slices + 1):
            groups = await shielded(anext(found))
            # In a thread, since a slice can have very many groups.
            await asyncio.to_thread(replay.add, groups)
            yield ReplayProgress(done * 100 // slices, sum(replay.counts.values()))
    shown = replay.changes[:limit]
    examples = await shielded(request_ids(sessions, [change.times.last_id for change in shown]))
    yield result(replay, shown, examples, last)


async def request_ids(sessions: Sessions, ids: Collection[int]) -> Mapping[int, str]:
    """The request ids of decisions, by id."""
    found: dict[int, str] = {}
    async with sessions() as session:
        dialect = dialect_of(session)
        for chunk in _chunks(ids):
            former = select(_former.c.id, _former.c.request_id).where(_former.c.id.in_(chunk))
            found |= {row.id: row.request_id for row in await session.execute(former)}
            query = select(*_rows.c["id", "second", "microsecond", "request_id"]).where(id_in(dialect, chunk))
            found |= {
                row.id: expand_request_id(row.request_id, join_time(row.second, row.microsecond))
                for row in await session.execute(query)
            }
    return found


async def _groups(
    session: AsyncSession, known: dict[int, ReplayKey], start: int, end: int
) -> Sequence[tuple[ReplayKey, Occurrences]]:
    (first, from_part), (last, to_part) = split_time(start), split_time(end)
    second, microsecond = _rows.c.second, _rows.c.microsecond
    query = (
        select(_rows.c.decision_key_id, func.sum(func.coalesce(_rows.c["count"], 1)), func.max(_rows.c.id))
        .where(seconds_between(dialect_of(session), first, last))
        .where((second > first) | (microsecond >= from_part), (second < last) | (microsecond < to_part))
        .group_by(_rows.c.decision_key_id)
    )
    rows = (await session.execute(query)).all()
    new = await load_keys(session, {row[0] for row in rows} - known.keys())
    known |= {key_id: _replay_key(key) for key_id, key in new.items()}
    return [(known[key_id], Occurrences(int(count), last_id)) for key_id, count, last_id in rows if key_id in known]


def _replay_key(key: DecisionKey) -> ReplayKey:
    return ReplayKey(
        key.grants, key.method, key.subject, key.key_id, key.resource, key.action, key.allowed, key.client_id
    )


async def _former_groups(
    session: AsyncSession, sets: dict[int, StatedGrants], start: int, end: int
) -> Sequence[tuple[ReplayKey, Occurrences]]:
    columns = [_former.c[name] for name in _GROUPED]
    query = (
        select(*columns, func.count(), func.max(_former.c.id))
        .where(_former.c.at >= start, _former.c.at < end)
        .group_by(*columns)
    )
    rows = (await session.execute(query)).all()
    sets |= await _grants(session, {row[0] for row in rows if row[0] is not None} - sets.keys())
    return [(ReplayKey(sets.get(row[0]), *row[1:7]), Occurrences(row[7], row[8])) for row in rows]


async def _grants(session: AsyncSession, ids: Collection[int]) -> dict[int, StatedGrants]:
    found: dict[int, StatedGrants] = {}
    for chunk in _chunks(ids):
        query = select(_grant_sets.c.id, _grant_sets.c.digest, _grant_sets.c.grants).where(_grant_sets.c.id.in_(chunk))
        found |= {row.id: StatedGrants(row.digest, row.grants) for row in await session.execute(query)}
    return found


def _chunks(ids: Collection[int]) -> list[list[int]]:
    ordered = sorted(ids)
    return [ordered[start : start + _BATCH_SIZE] for start in range(0, len(ordered), _BATCH_SIZE)]
