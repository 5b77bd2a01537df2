"""Filters of the decision log, read from text."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.audit.decision_filter import FILTERS, BadFilter, DecisionFilter, read

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def micros(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 1_000_000


def test_every_filter_is_read() -> None:
    given = {
        "subject": "user_a",
        "key_id": "17",
        "client": "https://app.example/client.json",
        "route": "/api/v1/teams/{team_id}/",
        "action": "GET",
        "verdict": "deny",
        "revision": "0123456789abcdef",
        "request_id": "abc",
        "since": "2026-11-20",
        "until": "2026-11-21T00:00:00Z",
    }
    assert set(given) == set(FILTERS)
    assert read(given, NOW) == DecisionFilter(
        subject="user_a",
        key_id=17,
        client_id="https://app.example/client.json",
        resource="/api/v1/teams/{team_id}",
        action="GET",
        allowed=False,
        revision="0123456789abcdef",
        request_id="abc",
        since=micros("2026-11-20T00:00:00+00:00"),
        until=micros("2026-11-21T00:00:00+00:00"),
    )
    assert read({}, NOW) == DecisionFilter()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", "2026-11-17T12:00:00+00:00"),
        ("2h", "2026-11-24T10:00:00+00:00"),
        ("30m", "2026-11-24T11:30:00+00:00"),
        ("90s", "2026-11-24T11:58:30+00:00"),
        ("1w", "2026-11-17T12:00:00+00:00"),
        ("2026-11-20", "2026-11-20T00:00:00+00:00"),
        ("2026-11-20T09:00+02:00", "2026-11-20T07:00:00+00:00"),
        ("2026-11-20T09:00:00Z", "2026-11-20T09:00:00+00:00"),
    ],
)
def test_times_are_absolute_or_relative(text: str, moment: str) -> None:
    assert read({"since": text}, NOW).since == micros(moment)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("since", ""),
        ("since", "yesterday"),
        ("since", "0d"),
        ("since", "-1d"),
        ("since", "7 d"),
        ("since", "999999w"),
        ("since", "2026-13-01"),
        ("since", "2026-02-30"),
        ("since", "2026-11-20T09:00:00"),
        ("since", "\u0667d"),
        ("until", "20261120"),
        ("key_id", "0"),
        ("key_id", "x"),
        ("key_id", "+1"),
        ("key_id", "9223372036854775808"),
        ("verdict", "ALLOW"),
        ("verdict", "maybe"),
        ("subject", "a\x00b"),
        ("subject", "x" * 513),
        ("route", "\ud800"),
        ("colour", "red"),
    ],
)
def test_an_invalid_filter_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(BadFilter) as refused:
        read({name: text, "action": "GET"}, NOW)
    assert set(refused.value.errors) == {name}


def test_all_errors_are_reported_together() -> None:
    with pytest.raises(BadFilter) as refused:
        read({"verdict": "x", "since": "y", "colour": "z"}, NOW)
    assert set(refused.value.errors) == {"verdict", "since", "colour"}
