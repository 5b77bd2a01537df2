"""Relative times on pages."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from app.console.formatting import ago


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-86_400, "in 1 day"),
        (-3_600, "in 1 hour"),
        (-7 * 86_400, "in 7 days"),
        (-90 * 60, "in 1 hour"),
        (-121, "in 2 minutes"),
        (-59, "in less than a minute"),
        (30, "just now"),
        (3_600, "1 hour ago"),
        (86_400 - 30, "23 hours ago"),
    ],
)
def test_a_time_is_relative_to_now(seconds: int, shown: str) -> None:
    text = ago(datetime.now(UTC) - timedelta(seconds=seconds))
    assert re.fullmatch(rf"<time [^>]+>{shown}</time>", text), text
