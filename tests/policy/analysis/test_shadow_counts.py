"""Counts of differences of a policy in shadow, by caller and request, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.policy.analysis import shadow as shadowing
from app.policy.analysis.shadow import Shadow, ShadowCaller, ShadowKey
from tests.policy.small import snapshot

NOW = datetime(2026, 11, 24, tzinfo=UTC)
READER = frozenset({"a:read"})


def key_of(subject: str, *, allowed: bool = False) -> ShadowKey:
    return ShadowKey(ShadowCaller(subject, None), "GET", "/x", allowed)


def test_a_difference_is_listed_once_and_counted_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadowing, "MAX_DIFFERENCES", 2)
    shadow = Shadow(snapshot("p, a:read, /x, GET, allow", "p, a:read, /y, GET, allow, \"request.ip == '::1'\""))
    told = [
        shadow.compare(READER, "/x", "GET", key_of(subject), NOW + timedelta(seconds=number)) is not None
        for number, subject in enumerate(("ann", "ann", "bob", "cid", "bob", "bob"))
    ]
    assert told == [True, False, True, False, False, False]
    assert shadow.compare(READER, "/x", "GET", key_of("ann", allowed=True), NOW) is None
    assert shadow.compare(READER, "/y", "GET", key_of("ann"), NOW) is None
    assert (shadow.compared, shadow.not_compared, shadow.differing, shadow.other) == (7, 1, 6, 1)
    found = [(each.key.who.subject, each.number, each.last) for each in shadow.most_frequent(9)]
    assert found == [("bob", 3, NOW + timedelta(seconds=5)), ("ann", 2, NOW + timedelta(seconds=1))]
    assert [each.number for each in shadow.most_frequent(1)] == [3]
    assert all(each.decision.allowed for each in shadow.most_frequent(9))


def test_differences_with_the_same_count_are_ordered_by_action_and_resource() -> None:
    shadow = Shadow(snapshot("p, a:read, /x, GET|POST, allow", "p, a:read, /y, GET, allow"))
    asked = [("POST", "/x", "ann", None), ("GET", "/y", "ann", 7), ("GET", "/x", "bob", None), ("GET", "/y", "cid", 7)]
    for action, resource, subject, key_id in [*asked, asked[3]]:
        key = ShadowKey(ShadowCaller(subject, key_id), action, resource, False)
        shadow.compare(READER, resource, action, key, NOW)
    found = [(each.key.action, each.key.resource, each.key.who.subject) for each in shadow.most_frequent(9)]
    assert found == [("GET", "/y", "cid"), ("GET", "/x", "bob"), ("GET", "/y", "ann"), ("POST", "/x", "ann")]


def test_at_most_a_thousand_differences_are_kept() -> None:
    shadow = Shadow(snapshot("p, a:read, /x, GET, allow"))
    for number in range(1_002):
        shadow.compare(READER, "/x", "GET", key_of(f"u{number}"), NOW)
    assert (shadow.differing, shadow.other, len(shadow.most_frequent(2_000))) == (1_002, 2, 1_000)
