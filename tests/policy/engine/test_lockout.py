"""Publishers of a policy: who can publish, and changes that lose publishers."""

from __future__ import annotations

import pytest

from app.policy.analysis.findings import find
from app.policy.analysis.publishers import FewerPublishers, lost_publishers, root_permissions, unproven_facts
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.lockout import PUBLISH, RELOAD, lockout, named_publishers
from app.policy.engine.snapshot import Snapshot
from app.policy.routing.routes import Route, RouteTable
from tests.policy.conftest import Said
from tests.policy.small import PERMISSIONS, snapshot

TABLE = RouteTable([PUBLISH, RELOAD, Route("/x", "GET")])
ALL = "/api/v1/policies/*, POST"
BY_TOKEN = f"p, a:write, {ALL}, allow"
BY_ROLE = f"p, role:admin, {ALL}, allow"
ANN, BOB, KEY = "user:ann", "user:auth0|bob", "key:7"


def policy(*rows: str) -> Snapshot:
    return snapshot(*rows, table=TABLE)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((BY_TOKEN,), None),
        ((BY_TOKEN, f"g, {ANN}, a:write"), None),
        ((BY_ROLE, "g, b:read, role:admin", f"g, {ANN}, role:admin"), None),
        ((f"p, auth:jwt, {ALL}, allow",), None),
        ((BY_ROLE, f"g, {ANN}, role:admin"), [{ANN}]),
        ((BY_ROLE, f"g, {KEY}, role:admin", f"g, {BOB}, role:two", "g, role:two, role:admin"), [{KEY}, {BOB}]),
        ((f"p, {ANN}, {ALL}, allow", f"p, {KEY} a:write, {ALL}, allow"), [{ANN}, {KEY}]),
        # A permission is no way in if a deny excludes all its holders.
        ((BY_TOKEN, f"p, {ANN}, {ALL}, allow", f"p, a:write, {ALL}, deny"), [{ANN}]),
        ((BY_TOKEN, f"p, {ANN}, {ALL}, allow", f"p, a:write, {ALL}, deny, 1 / 0 == 1"), [{ANN}]),
        ((BY_TOKEN, f"p, {ANN}, {ALL}, allow", f"p, a:write, {ALL}, deny, 1 == 2"), None),
        ((BY_TOKEN, f"p, {ANN}, {ALL}, allow", f"p, a:write, {ALL}, deny, \"request.path == '/'\""), None),
        ((f"p, a:write, {ALL}, allow, \"request.path == '/'\"", f"p, {ANN}, {ALL}, allow"), None),
        ((f"p, a:write, {ALL}, allow, 1 / 0 == 1", f"p, {ANN}, {ALL}, allow"), [{ANN}]),
        ((BY_ROLE,), []),
        ((), []),
    ],
    ids=str,
)
def test_named_publishers_are_reported_only_without_a_permission(
    rows: tuple[str, ...], expected: list[set[str]] | None, said: Said
) -> None:
    found = named_publishers(policy(*rows))
    assert (found is None) is (expected is None)
    assert sorted(map(sorted, found or ())) == sorted(map(sorted, expected or ()))
    codes = [finding.at.code for finding in find(policy(*rows))]
    assert ("unproven-publishers" in codes) is bool(expected)
    # A policy that only named callers can replace has a finding, and one that no caller can is refused.
    assert bool(lockout(policy(*rows))) is (expected == [])
    said([*lockout(policy(*rows)), *(finding.at for finding in find(policy(*rows)))])


def test_a_lock_out_is_at_the_denies_that_apply_to_every_request() -> None:
    sometimes = f"p, anyone, {ALL}, deny, \"request.path == '/'\""
    always = f"p, a:write, {ALL}, deny"
    assert [(each.line, each.hint) for each in lockout(policy(BY_TOKEN, sometimes, always))] == [
        (3, "make this deny narrower")
    ]
    (fault,) = lockout(policy(BY_ROLE, sometimes))
    assert fault.hint.startswith("add `p, policies:write, ")


def test_a_permission_is_found_among_very_many_named_callers() -> None:
    rows = [f"g, user:u{number}, role:admin" for number in range(1_200)]
    assert named_publishers(policy(BY_ROLE, *rows, "g, b:read, role:admin")) is None


def test_the_finding_names_the_callers_at_the_row_that_opens_it() -> None:
    rows = [BY_ROLE, *(f"g, user:u{number}, role:admin" for number in range(5))]
    (finding,) = [each for each in find(policy("p, a:read, /x, GET, allow", *rows)) if each.severity == "warning"][-1:]
    assert (finding.at.code, finding.at.line) == ("unproven-publishers", 2)
    assert "(user:u0, user:u1, user:u2 and 2 more)" in finding.at.message


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ((BY_TOKEN,), (BY_TOKEN,), None),
        ((BY_TOKEN,), (BY_TOKEN, f"g, {ANN}, a:write"), None),
        ((BY_TOKEN, "p, a:read, /x, GET, allow"), (BY_TOKEN,), None),
        ((BY_TOKEN, f"g, {ANN}, a:write"), (BY_TOKEN,), [ANN]),
        ((BY_ROLE, f"g, {ANN}, role:admin"), (BY_ROLE, f"g, {BOB}, role:admin"), [ANN]),
        ((BY_TOKEN,), (BY_TOKEN, f"p, {KEY}, {ALL}, deny"), ["a:write + key:7"]),
        ((BY_TOKEN,), (f"p, a:write auth:jwt, {ALL}, allow",), ["a:write"]),
        ((BY_TOKEN,), (f"p, a:write, {ALL}, allow, \"request.path == '/'\"",), ["a:write"]),
        ((BY_TOKEN,), (), ["a:write"]),
    ],
    ids=str,
)
def test_callers_that_can_no_longer_publish_are_reported(
    old: tuple[str, ...], new: tuple[str, ...], lost: list[str] | None
) -> None:
    found = lost_publishers(compare(policy(*old), policy(*new)))
    if lost is None:
        assert found is None
        return
    assert found
    summary = FewerPublishers(found, None).summary
    assert summary.startswith("fewer callers could publish a policy: POST /api/v1/policies/publish  for holders of ")
    assert all(f"holders of {who}" in summary for who in lost)


def test_an_undecidable_change_may_lose_publishers() -> None:
    difference = compare(policy(BY_TOKEN), policy(BY_TOKEN))
    unknown = type(difference)((), ((PUBLISH.template, PUBLISH.method),))
    assert lost_publishers(unknown) == ()
    assert "too many rows to list them" in FewerPublishers((), None).summary
    assert lost_publishers(type(difference)((), (("/x", "GET"),))) is None


@pytest.mark.parametrize(
    ("ways", "seen", "expected"),
    [
        ([{ANN}], {ANN}, None),
        ([{ANN}, {KEY}], {KEY}, None),
        ([{ANN}, {KEY}], {BOB}, (KEY, ANN)),
        ([{ANN}], set(), (ANN,)),
        ([], {ANN}, ()),
    ],
)
def test_a_lock_out_leaves_no_known_caller(
    ways: list[set[str]], seen: set[str], expected: tuple[str, ...] | None
) -> None:
    assert unproven_facts(list(map(frozenset, ways)), seen) == expected
    summary = FewerPublishers((), expected).summary
    if expected:
        assert f"only {', '.join(expected)}, never seen in the decision log" in summary
    elif expected is not None:
        assert summary == "no caller could publish a policy"


@pytest.mark.parametrize(
    ("rows", "root"),
    [
        ((BY_TOKEN,), {"a:write"}),
        ((f"p, auth:jwt a:write, {ALL}, allow",), {"a:write"}),
        ((f"p, auth:api_key c:read, {ALL}, allow",), {"c:read"}),
        ((BY_TOKEN, "g, b:read, a:write"), {"a:write", "b:read"}),
        ((BY_ROLE, "g, c:read, role:admin"), {"c:read"}),
        ((f"p, a:write, {ALL}, allow, \"request.path == '/'\"",), {"a:write"}),
        ((f"p, a:write b:read, {ALL}, allow",), set()),
        ((BY_TOKEN, f"p, a:write, {ALL}, deny"), set()),
        ((), set()),
    ],
    ids=lambda value: str(sorted(value)) if isinstance(value, set) else str(value),
)
def test_a_permission_that_suffices_to_publish_is_root(rows: tuple[str, ...], root: set[str]) -> None:
    assert root_permissions(policy(*rows), PERMISSIONS) == root
