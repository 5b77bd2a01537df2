"""Filters of the admin log, read from text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.audit.admin_log import ACTIONS, ADMIN_FILTERS, AdminFilter, read_admin_filter
from app.audit.filter_values import BadFilter

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_each_filter_is_read() -> None:
    given = {
        "action": "key.revoke",
        "actor": "cli:root",
        "target": "key:17",
        "request_id": "r-1",
        "since": "7d",
        "until": "2026-11-24T01:30:00.5+02:00",
    }
    assert given.keys() == ADMIN_FILTERS.keys()
    until = datetime(2026, 11, 23, 23, 30, 0, 500_000, tzinfo=UTC)
    expected = AdminFilter(("key.revoke",), "cli:root", "key:17", "r-1", NOW - timedelta(days=7), until)
    assert read_admin_filter(given, NOW) == expected
    assert read_admin_filter({}, NOW) == AdminFilter()


def test_a_group_selects_all_its_acts() -> None:
    for kind in ("policy", "key", "session"):
        chosen = read_admin_filter({"action": kind}, NOW).actions
        assert chosen == tuple(name for name in ACTIONS if name.startswith(f"{kind}."))
    assert read_admin_filter({"action": "policy.shadow"}, NOW).actions == ("policy.shadow",)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "action",
            "key.revoked",
            "is not an act; choose one of policy, key, consent, person, session, app, log, policy.publish",
        ),
        ("action", "", "is not an act"),
        ("action", "policy.", "is not an act"),
        ("actor", "a\x1b[31m", "printable"),
        ("target", "a\u202eb", "printable"),
        ("target", "x" * 513, "at most 512"),
        ("since", "yesterday", "cannot be read"),
        ("since", "2026-02-30", "no time that exists"),
        ("until", "999999w", "out of range"),
        ("until", "0001-01-01T00:00:00+14:00", "out of range"),
        ("colour", "red", "is not a filter; choose one of action"),
        ("col\x1bour", "red", "is not a filter"),
    ],
)
def test_an_invalid_filter_is_refused_by_name(name: str, text: str, message: str) -> None:
    with pytest.raises(BadFilter) as refused:
        read_admin_filter({name: text, "actor": "user_a"} if name != "actor" else {name: text}, NOW)
    ((field, said),) = refused.value.errors.items()
    assert field.isprintable()
    assert message in said
