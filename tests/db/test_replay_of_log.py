"""A replay of a stored log: counts and last examples equal those of deciding one by one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from app.audit.batch import Batch
from app.audit.replay import Replay, ReplayOutcome
from app.db.decision_writer import DecisionWriter
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.replay import equal_decisions, request_ids
from app.db.session import sessions_of
from tests.audit.test_replay import CANDIDATES, active, candidate, log
from tests.db.records import varied

pytestmark = pytest.mark.anyio


async def test_a_replay_of_the_log_equals_deciding_one_by_one(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    await upgrade(url)
    # Some have bad credentials, and some have no grants in the log; not all are replayed.
    records = [
        varied(record, method=None, grants=None)
        if number % 97 == 0
        else varied(record, grants=None)
        if number % 89 == 0
        else record
        for number, record in enumerate(log(12, 4_000))
    ]
    records = [record._replace(times=number % 3 + 1) for number, record in enumerate(records)]
    engine = open_engine(url)
    sessions = sessions_of(engine)
    writer = DecisionWriter(sessions)
    for start in range(0, len(records), 700):
        await writer.write(Batch.of(records[start : start + 700]))
    snapshot = candidate(*CANDIDATES[1])
    replay = Replay(snapshot, active())
    async for groups in equal_decisions(sessions, 100, 3_900, slices=7):
        replay.add(groups)
    examples = await request_ids(sessions, [change.times.last_id for change in replay.changes])
    await engine.dispose()

    counts: Counter[ReplayOutcome] = Counter()
    changes: dict[tuple[ReplayOutcome, str, str, str], tuple[int, str]] = {}
    for record in records[100:3_900]:
        if record.key.held is None:
            counts[ReplayOutcome.UNVERIFIED if record.key.method is None else ReplayOutcome.UNKNOWN] += record.times
            continue
        now = snapshot.decide(record.key.held, record.key.resource, record.key.action)
        told = (
            ReplayOutcome.SAME
            if now.allowed is record.key.allowed
            else ReplayOutcome.GAINED
            if now
            else ReplayOutcome.LOST
        )
        counts[told] += record.times
        if told is not ReplayOutcome.SAME:
            which = (told, record.key.subject, record.key.resource, record.key.action)
            changes[which] = (changes.get(which, (0, ""))[0] + record.times, record.request_id)
    assert {told: count for told, count in replay.counts.items() if count} == counts
    assert set(counts) == {
        ReplayOutcome.SAME,
        ReplayOutcome.GAINED,
        ReplayOutcome.LOST,
        ReplayOutcome.UNVERIFIED,
        ReplayOutcome.UNKNOWN,
    }
    found = {
        (c.outcome, c.key.subject, c.key.resource, c.key.action): (c.times.number, examples[c.times.last_id])
        for c in replay.changes
    }
    assert found == changes
