"""The last use of each grant, in the log of a real database."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from app.audit.batch import Batch
from app.db.decision_writer import DecisionWriter
from app.db.grant_uses import last_uses
from app.db.session import Sessions
from tests.db.records import varied
from tests.db.test_decision_store import NOW, PLAIN

pytestmark = pytest.mark.anyio
DAY = 24 * 3600 * 1_000_000
TODAY = date(1970, 1, 1) + timedelta(days=NOW // DAY)


async def test_each_grant_has_the_last_day_on_which_a_row_that_needs_it_allowed_something(sessions: Sessions) -> None:
    both = "p, games:read role:scout, /games, GET, allow"
    denied = varied(PLAIN, allowed=False, rule_text="p, env:test, /games, GET, deny")
    uses = [
        varied(PLAIN, at=NOW - 5 * DAY, rule_text=both),
        varied(PLAIN, at=NOW - 3 * DAY, rule_text="p, games:read, /teams, GET, allow"),
        varied(PLAIN, at=NOW - 4 * DAY, rule_text="p, games:read, /teams, HEAD, allow"),
        varied(denied, at=NOW),
        varied(PLAIN, allowed=False, rule_text=None, rule_place=None),
    ]
    for use in uses:  # the days of an outcome are those of its batches
        await DecisionWriter(sessions).write(Batch.of([use]))
    async with sessions() as session:
        found = await last_uses(session)
    assert found == {"games:read": TODAY - timedelta(days=3), "role:scout": TODAY - timedelta(days=5)}
