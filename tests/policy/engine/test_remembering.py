"""The caches of a snapshot for callers and decisions: their bounds, and correct verdicts."""

from __future__ import annotations

import pytest

from app.policy.engine import snapshot as remembering
from app.policy.engine.snapshot import Snapshot
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import snapshot

TABLE = RouteTable([Route(f"/{letter}", "GET") for letter in "abc"])
ROW = "p, a:read, /**, GET, allow"
PAGES = ("/a", "/b", "/c")


DECISION = 300  # bytes, for a cached decision


def misses(policy: Snapshot, held: frozenset[str], *pages: str) -> int:
    """The cache misses of these decisions, each of which must allow."""
    before = policy.misses
    for page in pages:
        assert policy.decide(held, page, "GET")
    return policy.misses - before


@pytest.mark.parametrize(("most", "again"), [(3, 0), (2, 1)])
def test_the_number_of_cached_decisions_is_bounded(monkeypatch: pytest.MonkeyPatch, most: int, again: int) -> None:
    monkeypatch.setattr(remembering, "MAX_CACHED", most)
    policy, held = snapshot(ROW, table=TABLE), frozenset({"a:read"})
    assert misses(policy, held, *PAGES) == 3
    assert misses(policy, held, "/c", "/a") == again


def test_things_that_no_row_names_share_the_decision_of_their_type() -> None:
    policy, held = snapshot("p, a:read, doc, GET, allow", "p, a:read, doc:own, GET, allow"), frozenset({"a:read"})
    assert misses(policy, held, "doc:1", "doc:2", "doc", "doc:1") == 1
    assert misses(policy, held, "doc:own", "doc:own") == 1


@pytest.mark.parametrize(("grants", "remembered"), [(3, True), (4, False)])
def test_a_caller_with_very_many_grants_is_not_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, grants: int, remembered: bool
) -> None:
    monkeypatch.setattr(remembering, "MAX_CACHED_GRANTS", 3)
    policy = snapshot(ROW, table=TABLE)
    held = frozenset(["a:read", *(f"made:up{number}" for number in range(1, grants))])
    assert policy.decide(held, "/a", "GET")
    assert (held in policy.parts()) is remembered
    assert misses(policy, held, "/a") == 0, "the decision is cached for all callers with the same relevant grants"


def test_the_cache_of_callers_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "MAX_CACHED_BYTES", 10_000)
    policy = snapshot(ROW, table=TABLE)
    without = len(policy.parts())
    most = 0
    for number in range(200):
        assert policy.decide(frozenset({"a:read", f"made:up{number}"}), "/a", "GET")
        most = max(most, len(policy.parts()) - without)
    assert 10 <= most <= 10_000 // 500 + 4, "a caller takes at least 500 bytes"


def test_evicted_entries_take_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "MAX_CACHED_BYTES", 10_000)
    policy = snapshot(ROW, table=TABLE)
    forgotten = sum(misses(policy, frozenset({"a:read", f"made:up{number}"}), "/a") for number in range(200))
    assert forgotten <= 200 * 600 // 10_000 + 1, "once for each eviction"


def test_a_new_class_of_callers_takes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"p, user:u{number}, /a, GET, allow" for number in range(100)]
    monkeypatch.setattr(remembering, "MAX_CACHED_GRANTS", 0)  # so that only the class is cached
    monkeypatch.setattr(remembering, "MAX_CACHED_BYTES", 10_000)
    policy = snapshot(*rows, table=TABLE)
    first = frozenset({"user:u0"})
    assert misses(policy, first, "/a", "/a") == 1
    for number in range(1, 100):
        assert policy.decide(frozenset({f"user:u{number}"}), "/a", "GET")
    assert misses(policy, first, "/a") == 1


@pytest.mark.parametrize("over", [0, 1])
def test_the_size_of_a_caller_is_counted_by_its_grants(monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    """300 bytes for a caller and 100 for a grant with its text; the same without texts for a class of callers."""
    first, second = frozenset({"a:read"}), frozenset({"a:read", "b:read", "made:up"})
    room = (300 + 100) + (300 + 106) + (300 + 200) + (300 + 106 + 106 + 107) + 2 * DECISION
    monkeypatch.setattr(remembering, "MAX_CACHED_BYTES", room - over)
    policy = snapshot(ROW, "p, b:read, /a, GET, allow", table=TABLE)
    assert misses(policy, first, "/a") == 1
    assert misses(policy, second, "/a") == 1
    assert misses(policy, first, "/a") == over


def test_a_known_class_of_callers_takes_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "MAX_CACHED_BYTES", (300 + 100) + 2 * (300 + 106 + 107) + DECISION)
    policy = snapshot(ROW, table=TABLE)
    callers = [frozenset({"a:read", f"made:u{letter}"}) for letter in "pq"]
    assert misses(policy, callers[0], "/a") == 1
    assert misses(policy, callers[1], "/a") == 0
    assert misses(policy, callers[0], "/a") == 0
    assert {*callers} <= {part for part in policy.parts() if isinstance(part, frozenset)}


def test_a_detached_policy_has_its_own_cache() -> None:
    policy, held = snapshot(ROW, table=TABLE), frozenset({"a:read"})
    assert misses(policy, held, *PAGES) == 3
    other = policy.detached()
    assert (other.misses, policy.misses) == (0, 3)
    assert misses(other, held, *PAGES) == 3
    assert policy.misses == 3
    assert other.revision == policy.revision
    assert misses(policy, held, *PAGES) == 0


def test_the_limits_suffice_for_a_large_service() -> None:
    assert (remembering.MAX_CACHED, remembering.MAX_CACHED_GRANTS) == (50_000, 500)
    assert remembering.MAX_CACHED_BYTES == 16 * 2**20


def test_a_replaced_policy_is_freed_completely() -> None:
    replaced = [snapshot(ROW, table=TABLE), snapshot(ROW, table=TABLE)]
    remembering.free_snapshots(replaced)
    assert replaced == []
