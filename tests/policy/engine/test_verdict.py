"""The deciding row, the reason and the missing grants, for the rows of a resource in every order."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from app.policy.engine.verdict import Conditions
from app.policy.language.reason import Reason
from app.policy.language.when.condition import NO_CONTEXT
from tests.policy.small import snapshot

P = "p, a:read, /x, GET, "
YES, NO, FAILS = "params.n == '1'", "params.n == '2'", "params.absent == '1'"
ALLOWED, DENIED, ERROR = Reason.ALLOWED, Reason.DENIED, Reason.CONDITION_ERROR
CONTEXT: Mapping[str, object] = {"params": {"n": "1"}}


@pytest.mark.parametrize(
    ("rows", "reason", "line", "errors"),
    [
        (("allow", "allow"), ALLOWED, 1, []),
        ((f"allow, {NO}", "allow", "allow"), ALLOWED, 2, []),
        ((f"allow, {YES}", "allow"), ALLOWED, 1, []),
        (("allow", "deny", "deny"), DENIED, 2, []),
        (("deny", "allow"), DENIED, 1, []),
        ((f"deny, {NO}", "allow"), ALLOWED, 2, []),
        ((f"deny, {YES}", "allow"), DENIED, 1, []),
        (("allow", f"deny, {NO}", f"deny, {YES}"), DENIED, 3, []),
        (("allow", f"deny, {FAILS}", "deny"), ERROR, 2, [2]),
        (("deny", f"deny, {FAILS}"), DENIED, 1, []),
        ((f"allow, {FAILS}", "allow"), ALLOWED, 2, [1]),
        (("allow", f"allow, {FAILS}"), ALLOWED, 1, []),
        ((f"allow, {FAILS}", f"allow, {NO}"), ERROR, 1, [1]),
        ((f"allow, {NO}", f"allow, {FAILS}", f"allow, {FAILS}"), ERROR, 2, [2, 3]),
        ((f"allow, {FAILS}", "deny"), DENIED, 2, [1]),
        ((f"allow, {FAILS}", f"deny, {FAILS}"), ERROR, 2, [1, 2]),
        ((f"allow, {NO}", f"allow, {NO}"), Reason.NOT_MET, 1, []),
        ((f"deny, {NO}", f"allow, {NO}"), Reason.NOT_MET, 2, []),
        ((f"deny, {NO}",), Reason.NOT_HELD, None, []),
    ],
)
def test_the_first_matching_deny_decides_then_the_first_allow(
    rows: tuple[str, ...], reason: Reason, line: int | None, errors: list[int]
) -> None:
    policy = snapshot(*(P + row for row in rows))
    decision = policy.decide(frozenset({"a:read"}), "/x", "GET", CONTEXT)
    assert decision.reason is reason
    assert bool(decision) is decision.allowed is (reason is ALLOWED)
    assert (decision.rule.line if decision.rule else None) == line
    assert [rule.line for rule in decision.errors] == errors
    assert decision.missing == ()
    assert decision.revision == policy.revision


@pytest.mark.parametrize(
    ("needs", "held", "missing"),
    [
        (("a:read b:read c:read", "a:write b:read"), "a:read", ("b:read", "c:read")),
        (("a:read b:read c:read", "a:write b:read"), "a:read c:read", ("b:read",)),
        (("b:read", "a:write"), "", ("b:read",)),
        (("a:write", "b:read"), "", ("a:write",)),
        (("auth:jwt", "a:read b:read"), "", ("a:read", "b:read")),
        (("auth:jwt a:read", "env:live"), "", ("env:live",)),
        (("auth:jwt a:read", "b:read c:read"), "auth:jwt", ("a:read",)),
        (("user:u",), "", ("user:u",)),
    ],
)
def test_missing_grants_are_those_of_the_nearest_row(
    needs: tuple[str, ...], held: str, missing: tuple[str, ...]
) -> None:
    policy = snapshot(*(f"p, {need}, /x, GET, allow" for need in needs))
    decision = policy.decide(frozenset(held.split()), "/x", "GET", NO_CONTEXT)
    assert (decision.reason, decision.rule, decision.missing) == (Reason.NOT_HELD, None, missing)


def test_a_deny_has_no_missing_grants() -> None:
    decision = snapshot("p, anyone a:read, /x, GET, deny").decide(frozenset(), "/x", "GET")
    assert (decision.reason, decision.missing) == (Reason.NOT_HELD, ())


def test_a_condition_is_evaluated_once_per_request() -> None:
    first, second, plain = snapshot(f"{P}allow, {YES}", f"{P}allow, {YES}", f"{P}allow").policy.rules
    conditions = Conditions({"params": {"n": "1"}})
    conditions.settle(first, False)
    assert [conditions.met(rule) for rule in (first, second, plain)] == [False, True, True]
    conditions.settle(second, False)
    assert conditions.met(second) is False
