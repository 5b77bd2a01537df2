"""Reads the log for a replay: the database groups equal decisions, one interval of time after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from itertools import pairwise

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.record import StatedGrants
from app.audit.replay import Occurrences, Replay, ReplayKey
from app.audit.replay_view import ReplayProgress, ReplayResult, result
from app.db.session import Sessions
from app.db.shielded import shielded
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet as GrantSetRow
from app.db.tables.decisions import LoggedDecision

SLICES = 10
_BATCH_SIZE = 500
_MAX_KNOWN = 10_000  # grant sets that are cached between slices
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)
_GROUPED = ("grant_set_id", "method", "subject", "key_id", "resource", "action", "allowed")


async def equal_decisions(
    sessions: Sessions, since: int, until: int, slices: int = SLICES
) -> AsyncGenerator[Sequence[tuple[ReplayKey, Occurrences]]]:
    """Groups of equal decisions from `since` until before `until`, in microseconds since 1970; a list each interval."""
    known: dict[int, StatedGrants] = {}
    bounds = [since + (until - since) * number // slices for number in range(slices + 1)]
    columns = [_decisions.c[name] for name in _GROUPED]
    for start, end in pairwise(bounds):
        query = (
            select(*columns, func.count(), func.max(_decisions.c.id))
            .where(_decisions.c.at >= start, _decisions.c.at < end)
            .group_by(*columns)
        )
        if len(known) > _MAX_KNOWN:
            known.clear()
        async with sessions() as session:
            rows = (await session.execute(query)).all()
            known |= await _grants(session, {row[0] for row in rows if row[0] is not None} - known.keys())
        yield [(ReplayKey(known.get(row[0]), *row[1:7]), Occurrences(row[7], row[8])) for row in rows]


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
        for chunk in _chunks(ids):
            query = select(_decisions.c.id, _decisions.c.request_id).where(_decisions.c.id.in_(chunk))
            found |= {row.id: row.request_id for row in await session.execute(query)}
    return found


async def _grants(session: AsyncSession, ids: Collection[int]) -> dict[int, StatedGrants]:
    found: dict[int, StatedGrants] = {}
    for chunk in _chunks(ids):
        query = select(_grant_sets.c.id, _grant_sets.c.digest, _grant_sets.c.grants).where(_grant_sets.c.id.in_(chunk))
        found |= {row.id: StatedGrants(row.digest, row.grants) for row in await session.execute(query)}
    return found


def _chunks(ids: Collection[int]) -> list[list[int]]:
    ordered = sorted(ids)
    return [ordered[start : start + _BATCH_SIZE] for start in range(0, len(ordered), _BATCH_SIZE)]
