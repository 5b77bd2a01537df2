"""Pages with long lists are rendered in time slices, and times are formatted without escaping."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import RequestFactory

from app.console.formatting import ago
from app.console.page import long_page, page
from app.db.tables.history import PolicyRevision
from app.http.door import time_slice
from app.http.door.long_work import LongWork
from app.http.door.traffic import Traffic
from app.services import AnyRequest
from tests.console.admins import HOSTILE_TEXTS
from tests.support.services import state_of

pytestmark = pytest.mark.anyio


def values_of(entries: int) -> Mapping[str, object]:
    texts = list(HOSTILE_TEXTS)
    shown = [
        PolicyRevision(
            id=number,
            parent_id=None,
            revision=f"r{number}",
            kind="publish",
            author=texts[number % len(texts)],
            message=texts[number % len(texts)] * 3,
            widens=bool(number % 2),
            created_at=datetime(2020, 1, 1, tzinfo=UTC),
            changes=[],
            files=b"",
        )
        for number in range(entries)
    ]
    return {"entries": shown, "active": "r0", "is_first": True, "older": None, "may_roll_back": True}


class Slices(LongWork):
    """Counts how often a page gives way."""

    def __init__(self) -> None:
        super().__init__(Traffic())
        self.ended = 0
        self.give_way = self._count

    async def _count(self) -> None:
        self.ended += 1


def request_with(long_work: LongWork) -> AnyRequest:
    live = SimpleNamespace(active=SimpleNamespace(revision="r0"))
    settings = SimpleNamespace(api_title="Griddy API")
    state = state_of(live=live, long_work=long_work, settings=settings)
    return RequestFactory(Litestar(state=state)).get("/console/policy/history")


@pytest.mark.parametrize("entries", [0, 1, 50])
async def test_a_long_page_is_the_same_in_time_slices(monkeypatch: pytest.MonkeyPatch, entries: int) -> None:
    """By a clock that goes on by 60 microseconds with each look, a slice ends with the fifth part of the page."""
    times = count(step=0.00006)
    monkeypatch.setattr(time_slice, "perf_counter", lambda: next(times))
    long_work = Slices()
    request, values = request_with(long_work), values_of(entries)
    in_slices = await long_page(request, "history.html", status=202, **values)
    at_once = page(request, "history.html", status=202, **values)
    assert in_slices.content == at_once.content
    assert (in_slices.status_code, in_slices.media_type) == (202, at_once.media_type)
    assert in_slices.headers == at_once.headers
    assert long_work.ended >= 2 * entries


@pytest.mark.parametrize(
    ("moment", "date", "time"),
    [
        (datetime(2024, 2, 29, 23, 59, 59, 999_999, UTC), "2024-02-29", "23:59:59"),
        (datetime(2024, 3, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))), "2024-02-29", "23:30:00"),
        (datetime(1999, 12, 31, 23, 0, tzinfo=timezone(-timedelta(hours=1))), "2000-01-01", "00:00:00"),
    ],
)
def test_a_time_has_its_exact_value_in_utc(moment: datetime, date: str, time: str) -> None:
    shown = ago(moment)
    assert shown.startswith(f'<time datetime="{date}T{time}Z" title="{date} {time} UTC">')
    assert shown.endswith(" years ago</time>")


async def test_a_page_with_macros_is_freed_without_the_garbage_collector() -> None:
    class Value:
        """A value of the page."""

    request = request_with(Slices())
    given = dict.fromkeys(("owner", "prefix", "status", "sort"), "")
    values = {
        "keys": [],
        "beyond": {},
        "given": given,
        "errors": {},
        "statuses": (),
        "sorts": {},
        "sort": "newest",
        "longest_prefix": 17,
        "prefix_example": "grd_live_0a1b2c3d",
    }
    more: dict[str, Any] = {"is_filtered": False, "first": None, "following": None, "by": {}, "may_revoke": False}
    gc.disable()
    try:
        for is_long in (True, False):
            value = Value()
            freed = weakref.ref(value)
            all_values: dict[str, Any] = {**values, **more, "unused": value}
            answer = page(request, "all_keys.html", **all_values)
            if is_long:
                answer = await long_page(request, "all_keys.html", **all_values)
            assert "All keys" in answer.content
            del value, all_values
            assert freed() is None
    finally:
        gc.enable()
