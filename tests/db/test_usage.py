"""The uses of a key in the log of a real database."""

from __future__ import annotations

import pytest

from app.audit.batch import Batch
from app.db import usage
from app.db.decision_writer import DecisionWriter
from app.db.session import Sessions
from app.policy.analysis.usage import Use
from tests.db.records import varied
from tests.db.test_decision_store import NOW, PLAIN

pytestmark = pytest.mark.anyio


async def test_equal_decisions_are_counted_together_up_to_a_limit(sessions: Sessions) -> None:
    of_key = varied(PLAIN, key_id=7)
    await DecisionWriter(sessions).write(
        Batch.of(
            [
                varied(of_key, at=NOW - 50),
                varied(of_key, at=NOW - 40, allowed=False, rule_text=None, rule_place=None),
                varied(of_key, at=NOW - 30, resource="/games"),
                varied(of_key, at=NOW - 20),
                varied(of_key, at=NOW - 10),
                varied(PLAIN, key_id=8),
                PLAIN,
            ]
        )
    )
    many = varied(PLAIN, key_id=9, times=5)
    await DecisionWriter(sessions).write(Batch.of([many, varied(many, times=2)]))
    row = PLAIN.key.rule_text or ""
    async with sessions() as session:
        whole = await usage.uses(session, 7, NOW - 100)
        latest = await usage.uses(session, 7, NOW - 100, latest=3)
        of_many = await usage.uses(session, 9, NOW - 100), await usage.number(session, 9, 0, at_most=100)
        numbers = [await usage.number(session, 7, since, at_most=4) for since in (NOW - 100, NOW - 30, NOW)]
    assert whole == (Use("GET", "/games", row, 1, NOW - 30), Use("GET", "/teams", row, 3, NOW - 10))
    assert latest == (Use("GET", "/games", row, 1, NOW - 30), Use("GET", "/teams", row, 2, NOW - 10))
    assert of_many == ((Use("GET", "/teams", row, 7, NOW),), 7)
    assert numbers == [4, 3, 0]
