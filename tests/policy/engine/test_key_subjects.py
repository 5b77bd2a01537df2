"""API keys as subjects of evaluations: only those that are accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.identity.api_keys import KeyRecord
from app.policy.engine.resolved_subject import NoSuchSubject, StoredSubjects

NOW = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "usable"),
    [
        ({}, True),
        ({"environment": "test"}, False),
        ({"revoked_at": NOW - timedelta(days=1)}, False),
        ({"expires_at": NOW + timedelta(microseconds=1)}, True),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW - timedelta(microseconds=1)}, False),
    ],
    ids=str,
)
def test_a_key_that_is_not_accepted_is_no_subject(changes: dict[str, Any], usable: bool) -> None:
    record = KeyRecord(
        **{
            "id": 7,
            "subject": "user_owner",
            "environment": "live",
            "scopes": frozenset({"a:read"}),
            "digest": b"",
            "expires_at": None,
            "revoked_at": None,
            **changes,
        }
    )
    keys = StoredSubjects({"7": record}, ("live",))
    if usable:
        assert keys.usable("7", NOW) is record
    else:
        with pytest.raises(NoSuchSubject, match="unknown, revoked, expired, or of an environment"):
            keys.usable("7", NOW)
    with pytest.raises(NoSuchSubject):
        keys.usable("8", NOW)
