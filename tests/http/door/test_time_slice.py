"""Time slices of the event loop."""

from __future__ import annotations

import pytest

from app.http.door import time_slice
from app.http.door.time_slice import TimeSlice

pytestmark = pytest.mark.anyio


async def test_a_time_slice_lasts_300_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time_slice, "perf_counter", lambda: now)
    tested = TimeSlice()
    for begins in (0.0, 1.0):
        if begins:
            now = begins
            assert tested.is_over
            await tested.next()
        for lasted, is_over in ((0, False), (0.00029, False), (0.0003, True), (0.0011, True)):
            now = begins + lasted
            assert tested.is_over is is_over
