"""Reverse queries of small policies: ways in, denies, conditions, and usage with `g` rows."""

from __future__ import annotations

import random
from itertools import chain, combinations

import pytest

from app.policy.analysis.reach import Reach, holders, outcome, reach, ways_in
from app.policy.analysis.usage import Use, needs_of, time_of, usage
from app.policy.engine.snapshot import Snapshot
from app.policy.language.endpoint import Endpoint
from tests.policy.small import PERMISSIONS, snapshot

WHEN = "\"request.ip == '10.0.0.1'\""


def ways(policy: Snapshot) -> list[tuple[str, ...]]:
    return [way.grants for way in ways_in(policy, policy.rules_for("/x", "GET"))]


def test_ways_in_are_minimal_and_never_denied() -> None:
    policy = snapshot(
        "p, a:read b:read, /x, GET, allow",
        "p, a:read, /x, GET, allow",
        "p, c:read auth:jwt, /x, GET, allow",
        "p, b:read, /x, GET, allow",
        "p, b:read, /x, GET, deny",
        "p, auth:jwt auth:api_key, /x, GET, allow",  # no caller is both
    )
    assert ways(policy) == [("a:read",), ("auth:jwt", "c:read")]
    assert ways(snapshot("p, anyone, /x, GET, allow", "p, a:read, /x, GET, allow")) == [()]
    assert ways(snapshot("p, a:read, /x, GET, deny")) == []


def test_a_conditional_way_does_not_hide_an_unconditional_one() -> None:
    policy = snapshot(f"p, a:read, /x, GET, allow, {WHEN}", "p, a:read b:read, /x, GET, allow")
    found = ways_in(policy, policy.rules_for("/x", "GET"))
    assert [(way.grants, way.conditional) for way in found] == [(("a:read",), True), (("a:read", "b:read"), False)]


def test_a_condition_makes_it_conditional_on_either_side() -> None:
    held = frozenset({"anyone", "a:read"})
    may = snapshot(f"p, a:read, /x, GET, allow, {WHEN}")
    assert outcome(may.rules_for("/x", "GET"), held)[0] is Reach.CONDITIONAL
    may_not = snapshot("p, a:read, /x, GET, allow", f"p, a:read, /x, GET, deny, {WHEN}")
    assert outcome(may_not.rules_for("/x", "GET"), held)[0] is Reach.CONDITIONAL
    both = snapshot(f"p, a:read, /x, GET, allow, {WHEN}", "p, a:read, /x, GET, allow")
    opened, rule = outcome(both.rules_for("/x", "GET"), held)
    assert (opened, rule and rule.line) == (Reach.YES, 2)
    never = snapshot("p, a:read, /x, GET, allow", "p, anyone, /x, GET, deny")
    assert outcome(never.rules_for("/x", "GET"), held) == (Reach.NO, None)


def test_roles_users_and_keys_that_rows_name_are_found() -> None:
    policy = snapshot(
        "p, a:read auth:jwt, /x, GET, allow",
        "p, key:7, /x, GET, allow",
        "g, role:r, a:read",
        "g, user:ann, role:r",
        "g, user:bob, b:read",
        "g, key:8, role:r",
    )
    assert [each.grant for each in holders(policy, policy.rules_for("/x", "GET"))] == ["key:7", "role:r", "user:ann"]
    assert [way.roles for way in ways_in(policy, policy.rules_for("/x", "GET"))] == [(), ("role:r",)]


def test_reach_and_ways_in_equal_decisions() -> None:
    chance = random.Random(7)
    sets = [frozenset(some) for some in chain.from_iterable(combinations(PERMISSIONS, number) for number in range(5))]
    for _ in range(150):
        rows = [
            f"p, {' '.join(chance.sample(PERMISSIONS, chance.randint(1, 3)))}, {chance.choice(['/x', '/x/**', '/y'])}, "
            f"GET, {chance.choice(['allow', 'allow', 'allow', 'deny'])}"
            for _ in range(6)
        ]
        policy = snapshot(*dict.fromkeys(rows), "g, a:write, a:read")
        for held in sets:
            found = {(each.action, each.resource) for each in reach(policy, held)}
            decided = {(action, name) for name, action in policy.index if policy.decide(held, name, action)}
            assert found == decided, (rows, held)
        opening = {held for held in sets if policy.decide(held, "/x", "GET")}
        named = {frozenset(way) for way in ways(policy)}
        assert named <= opening
        assert all(any(way <= policy.effective(held) for way in named) for held in opening), rows
        assert not any(way <= policy.effective(other) for way in named for other in named - {way}), rows


def test_usage_attributes_a_need_to_the_scope_that_gives_it() -> None:
    row = "p, a:read, /x, GET, allow"
    policy = snapshot(row, "g, a:write, a:read")
    held = frozenset({"anyone", "auth:api_key", "env:live", "key:7", "a:write", "b:read"})
    found = usage(policy, held, ["a:write", "b:read"], (Use("GET", "/x", row, 3, 5), Use("GET", "/y", row, 2, 9)))
    assert [(each.scope, each.count, each.last) for each in found.used] == [("a:write", 5, time_of(9))]
    assert (found.unused, found.sufficient_scopes, found.no_longer_allowed) == (
        ("b:read",),
        ("a:read",),
        (Endpoint("GET", "/y"),),
    )


def test_a_scope_suffices_through_a_role() -> None:
    policy = snapshot("p, role:r, /x, GET, allow", "g, a:write, role:r")
    held = frozenset({"anyone", "auth:api_key", "a:write", "b:read"})
    uses = [Use("GET", "/x", "p, role:r, /x, GET, allow", 1, 1_999_999)]
    found = usage(policy, held, ["b:read", "a:write"], uses)
    assert (found.unused, found.sufficient_scopes, found.no_longer_allowed) == (("b:read",), ("a:write",), ())
    (use,) = found.used
    assert (use.scope, use.last.timestamp(), use.last.microsecond) == ("a:write", 1.999999, 999_999)


def test_grants_of_a_key_by_other_rows_need_no_scope() -> None:
    row = "p, a:read auth:api_key, /x, GET, allow"
    policy = snapshot(row, "g, key:7, a:read")
    held = frozenset({"anyone", "auth:api_key", "key:7", "a:read"})
    found = usage(policy, held, ["a:read"], (Use("GET", "/x", row, 1, 1),))
    assert (found.used, found.unused, found.sufficient_scopes) == ((), ("a:read",), ())


def test_the_needs_of_a_row_are_read_from_its_text() -> None:
    policy = snapshot(f"p, b:read a:read, /x, GET|POST, allow, {WHEN}")
    (rule,) = policy.policy.rules
    assert needs_of(str(rule)) == {"a:read", "b:read"}
    assert needs_of("") == frozenset()


def test_uses_are_counted_in_any_order() -> None:
    row = "p, a:read, /x, GET, allow"
    held = frozenset({"anyone", "auth:api_key", "key:7", "a:read", "b:read"})
    uses = [Use("GET", "/x", row, 3, 5), Use("GET", "/x", row, 20, 9), Use("GET", "/x", row, 1, 7)]
    found = usage(snapshot(row), held, ["b:read", "a:read"], uses)
    assert [(each.scope, each.count, each.last) for each in found.used] == [("a:read", 24, time_of(9))]
    assert (found.unused, found.sufficient_scopes, found.no_longer_allowed) == (("b:read",), ("a:read",), ())


@pytest.mark.parametrize(
    "row", ["p, a:read", "g, a:read, b:read", "q, a:read, /x, GET, allow", "p,a:read,/x,GET,allow"]
)
def test_a_malformed_row_of_the_log_needs_nothing(row: str) -> None:
    assert needs_of(row) == frozenset()
