"""The throttle of refusals, with a clock of the test."""

from __future__ import annotations

import pytest

from app.http.door.refusal_throttle import BURST, MAX_DELAY_SECONDS, RefusalThrottle
from app.http.door.traffic import Traffic


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("per_second", [10, 500])
def test_refusals_beyond_a_burst_are_paced(per_second: int) -> None:
    clock = Clock()
    throttle = RefusalThrottle(Traffic(), per_second, clock=clock)
    delays = [throttle.delay() for _ in range(BURST + 6)]
    # The sums of intervals are not exact.
    assert delays[: BURST + 1] == pytest.approx([0.0] * (BURST + 1), abs=1e-6)
    assert delays[BURST + 1 :] == pytest.approx([number / per_second for number in range(1, 6)], abs=1e-6)
    clock.now += 1000
    assert throttle.delay() == 0


def test_a_process_sends_500_refusals_a_second_after_50_at_once() -> None:
    throttle = RefusalThrottle(Traffic(), clock=Clock())
    delays = [throttle.delay() for _ in range(60)]
    # A refusal may be early by a burst, so the one after it is on time.
    assert delays == pytest.approx([0.0] * 51 + [number / 500 for number in range(1, 10)], abs=1e-6)
    for _ in range(1_000):
        throttle.delay()
    assert throttle.delay() == pytest.approx(1.0)


def test_the_delay_of_a_refusal_is_bounded() -> None:
    clock = Clock()
    throttle = RefusalThrottle(Traffic(), 100, clock=clock)
    delays = [throttle.delay() for _ in range(10_000)]
    assert max(delays) == pytest.approx(MAX_DELAY_SECONDS)
    clock.now += MAX_DELAY_SECONDS + BURST / 100
    assert throttle.delay() == 0


@pytest.mark.anyio
async def test_a_waiting_refusal_does_not_count_as_a_short_request() -> None:
    traffic = Traffic()
    throttle = RefusalThrottle(traffic, 1000)
    traffic.enter()
    seen = []
    for _ in range(BURST + 2):
        waiting = throttle.wait()
        try:
            waiting.send(None)
        except StopIteration:
            continue
        seen.append(traffic.requests)
        waiting.close()
    assert seen
    assert set(seen) == {0}
    assert traffic.requests == 1
