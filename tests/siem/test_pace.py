"""The pauses of a backlog leave requests most of the time, unless the log would grow faster than it is delivered."""

from __future__ import annotations

from app.siem.pace import HURRIED, LONGEST, RESTED, Pace


def test_pauses_are_short_only_while_the_log_grows_faster_than_it_is_delivered() -> None:
    pace = Pace()
    assert pace.pause_after(0.1) == 0.1 * RESTED
    pace.measure(0, 10_000, 1.0)
    assert pace.pause_after(0.1) == 0.1 * RESTED, "a backlog alone is no reason"
    pace.measure(500, 11_000, 2.0)
    assert pace.pause_after(0.1) == 0.1 * HURRIED
    pace.measure(2_000, 12_000, 3.0)
    assert pace.pause_after(0.1) == 0.1 * RESTED
    assert (pace.is_due(3.9), pace.is_due(4.0)) == (False, True)
    assert pace.pause_after(60.0) == LONGEST
