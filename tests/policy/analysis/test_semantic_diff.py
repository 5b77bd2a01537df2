"""The semantic difference between two policies is exact, and independent of their notation."""

from __future__ import annotations

import time

import pytest

from app.policy.analysis import semantic_diff
from app.policy.analysis.access_change import AccessChange, AccessDiff
from app.policy.analysis.semantic_diff import compare
from app.policy.routing.routes import METHODS, Route, RouteTable
from tests.policy.pairs import agree_all
from tests.policy.small import PERMISSIONS, snapshot


def between(old: tuple[str, ...], new: tuple[str, ...]) -> AccessDiff:
    return compare(snapshot(*old), snapshot(*new))


def plain(change: AccessChange) -> tuple[str, str, tuple[tuple[str, ...], ...], list[tuple[tuple[str, ...], ...]]]:
    endpoint = f"{'|'.join(change.actions)} {change.resource}"
    return change.kind, endpoint, change.who.holds, [other.holds for other in change.unless]


READ = "p, a:read, /x/**, GET, allow"
WRITE = "p, a:write, /x, POST, allow"


def test_it_agrees_with_brute_force_over_all_cells() -> None:
    """`scripts/diff_against_brute_force.py` compares a thousand pairs."""
    *_, (pairs, changed) = agree_all(seed=2026, pairs=12)
    assert pairs == 12
    assert changed > 3_000


@pytest.mark.parametrize(
    "new",
    [
        (WRITE, READ),
        ("# a comment", "", "p,a:read,/x/**,GET,allow", WRITE),
        ("p, a:read, /x, GET, allow", "p, a:read, /x/{any}, GET, allow", WRITE),
        (READ, WRITE, "p, a:read b:read, /x, GET, allow"),
        (READ, WRITE, "p, role:unused, /x, POST, allow", "g, role:unused, b:read"),
        (READ, WRITE, "p, auth:jwt env:test, /x, POST, allow"),
        (READ, "p, role:writer, /x, POST, allow", "g, a:write, role:writer"),
    ],
    ids=["order", "format", "patterns", "a row covered by another", "a role without holder", "no caller", "by a role"],
)
def test_equivalent_policies_have_no_difference(new: tuple[str, ...]) -> None:
    assert between((READ, WRITE), new) == AccessDiff(())


@pytest.mark.parametrize(
    ("row", "who"),
    [
        ("p, role:x auth:jwt, /y, GET, allow", ["auth:jwt", "org:acme"]),
        ("p, role:x auth:api_key, /y, GET, allow", None),
        ("p, role:x env:live, /y, GET, allow", None),
        ("p, org:acme env:live, /y, GET, allow", ["env:live", "org:acme"]),
        ("p, org-role:admin env:live, /y, GET, allow", None),
    ],
)
def test_rows_of_an_organization_give_its_keys_no_role(row: str, who: list[str] | None) -> None:
    before = (READ, "g, org:acme, role:x")
    found = [sorted(grant for (grant,) in change.who.holds) for change in between(before, (*before, row)).changes]
    assert found == ([] if who is None else [who])


@pytest.mark.parametrize(
    ("old", "new", "steps"),
    [
        ((), (READ,), 1),
        ((READ,), (), 1),
        ((READ,), (READ, "p, b:read, /x/**, GET, allow"), 2),
        ((READ, "p, anyone, /x/**, GET, deny"), (READ,), 2),
    ],
)
def test_the_steps_for_a_difference_are_bounded(
    monkeypatch: pytest.MonkeyPatch, old: tuple[str, ...], new: tuple[str, ...], steps: int
) -> None:
    monkeypatch.setattr(semantic_diff, "MAX_STEPS", steps)
    assert between(old, new).changes
    assert not between(old, new).unknown
    monkeypatch.setattr(semantic_diff, "MAX_STEPS", steps - 1)
    assert not between(old, new).changes
    assert between(old, new).unknown


def test_gains_come_first_and_name_the_row_of_each_policy() -> None:
    difference = between((READ, WRITE), (READ.replace("a:read", "anyone"), WRITE.replace("a:write", "a:write b:read")))
    assert [plain(change) for change in difference.changes] == [
        ("gain", "GET /x", (), [(("a:read",),)]),
        ("gain", "GET /x/{id}", (), [(("a:read",),)]),
        ("loss", "POST /x", (("a:write",),), [(("b:read",),)]),
    ]
    assert [(behind.side, behind.row.line) for behind in difference.changes[0].rows] == [("new", 1), ("old", 1)]
    assert [(behind.side, behind.row.line) for behind in difference.changes[2].rows] == [("old", 2), ("new", 2)]
    assert difference.widens
    assert not between((READ, WRITE), (READ,)).widens


def test_a_removed_deny_widens_access() -> None:
    deny = "p, env:test, /**, POST, deny"
    (change,) = between((WRITE, deny), (WRITE,)).changes
    assert plain(change) == ("gain", "POST /x", (("a:write",), ("env:test",)), [])
    assert [(behind.side, str(behind.row)) for behind in change.rows] == [("old", deny)]


@pytest.mark.parametrize("resource", ["/x", "/x/**", "/**"])
def test_an_added_or_removed_deny_is_the_only_cause(resource: str) -> None:
    deny = f"p, env:test, {resource}, POST, deny"
    other = "p, auth:api_key, /x, POST, deny"
    for old, new, kind, side in (
        ((WRITE, other, deny), (WRITE, other), "gain", "old"),
        ((WRITE, other), (WRITE, other, deny), "loss", "new"),
    ):
        (change,) = between(old, new).changes
        assert change.kind == kind
        assert [(behind.side, str(behind.row)) for behind in change.rows] == [(side, deny)]


def test_a_deny_and_its_allow_are_both_causes() -> None:
    deny = "p, a:write b:read, /x, POST, deny"
    (gain,) = between((), (WRITE, deny)).changes
    assert [(behind.side, str(behind.row)) for behind in gain.rows] == [("new", WRITE), ("new", deny)]
    (loss,) = between((WRITE, deny), ()).changes
    assert [(behind.side, str(behind.row)) for behind in loss.rows] == [("old", WRITE), ("old", deny)]


def test_a_role_is_resolved_to_its_holders() -> None:
    role = "g, role:writer, a:write"
    (change,) = between((READ, WRITE, role), (READ, WRITE, role, "g, user:ann, role:writer")).changes
    assert plain(change) == ("gain", "POST /x", (("user:ann",),), [(("a:write",),)])
    assert [str(behind.row) for behind in change.rows] == [WRITE, "g, user:ann, role:writer"]
    members = ("g, user:ann, role:writer", "g, user:bob, role:writer")
    (change,) = between((READ, WRITE, *members), (READ, WRITE, *members, role)).changes
    assert change.who.holds == (("user:ann", "user:bob"),)


def test_a_role_that_is_renamed_is_no_difference() -> None:
    old = ("g, user:ann, role:writer", "g, role:writer, a:write", READ, WRITE)
    assert between(old, tuple(row.replace("writer", "author") for row in old)) == AccessDiff(())


def test_a_deny_that_a_role_no_longer_implies_widens_access() -> None:
    rows = (READ, "p, role:blocked, /**, GET, deny")
    difference = between((*rows, "g, user:ann, role:blocked"), (*rows, "g, user:bob, role:blocked"))
    assert [(change.kind, change.who.holds) for change in difference.changes if change.resource == "/x"] == [
        ("gain", (("a:read",), ("user:ann",))),
        ("loss", (("a:read",), ("user:bob",))),
    ]
    assert "g, user:ann, role:blocked" in [str(behind.row) for behind in difference.changes[0].rows]


WHEN = "p, a:write, /x, POST, allow, \"request.ip == '10.0.0.1'\""


def test_a_removed_or_changed_condition_may_widen_access() -> None:
    (dropped,) = between((WHEN,), (WRITE,)).changes
    assert (dropped.kind, dropped.may) == ("gain", True)
    assert [when.text for when in dropped.unless[0].met] == ["request.ip == '10.0.0.1'"]
    assert [(change.kind, change.may) for change in between((WRITE,), (WHEN,)).changes] == [("loss", True)]
    altered = between((WHEN,), (WHEN.replace("10.0.0.1", "10.0.0.2"),))
    assert [(change.kind, change.may) for change in altered.changes] == [("gain", True), ("loss", True)]


def test_a_conditional_deny_denies_on_an_error() -> None:
    (change,) = between((WRITE, WHEN.replace("allow", "deny").replace("a:write", "anyone")), (WRITE,)).changes
    assert not change.who.met
    assert [when.text for when in change.who.not_unmet] == ["request.ip == '10.0.0.1'"]


def test_changed_roles_may_change_a_condition_on_grants() -> None:
    row = "p, a:read, /x, GET, allow, \"'a:write' in subject.permissions\""
    assert between((row,), (row,)) == AccessDiff(())
    difference = between((row,), (row, "g, user:ann, a:write"))
    assert difference.widens
    assert {change.resource for change in difference.changes} == {"/x"}
    blind = WHEN.replace("a:write", "a:read").replace("POST", "GET")
    assert not between((blind,), (blind, "g, user:ann, a:write")).changes


ANN = "subjects:\n  - {type: user, id: ann, properties: {permissions: [b:read]}}"


def test_a_subject_that_is_given_a_permission_gains_what_it_opens() -> None:
    old, new = snapshot(READ, WRITE, entities=ANN), snapshot(READ, WRITE, entities=ANN.replace("b:read", "a:write"))
    (change,) = compare(old, new).changes
    assert plain(change) == ("gain", "POST /x", (("subject user ann",),), [(("a:write",),)])
    assert [(behind.row.file, behind.row.line) for behind in change.rows] == [
        ("rows.csv", 2),
        ("entities/own.yaml", 2),
    ]
    assert [change.kind for change in compare(new, old).changes] == ["loss"]
    assert not compare(old, old).changes


def test_a_subject_is_also_a_user() -> None:
    row = "p, user:ann a:write, /x, POST, allow"
    (change,) = compare(snapshot(row), snapshot(row, entities=ANN.replace("b:read", "a:write"))).changes
    assert plain(change) == ("gain", "POST /x", (("subject user ann",),), [(("a:write",),)])


@pytest.mark.parametrize(("kind", "gains"), [("robot", True), ("key", False)])
def test_the_permissions_of_a_key_are_those_of_the_database_and_not_its_attributes(kind: str, gains: bool) -> None:
    given = ANN.replace("b:read", "a:write").replace("{type: user, id: ann", f"{{type: {kind}, id: '1'")
    changes = compare(snapshot(WRITE), snapshot(WRITE, entities=given)).changes
    assert [change.who.holds for change in changes] == [((f"subject {kind} 1",),)] * gains


def test_changed_attributes_may_change_a_condition_on_them() -> None:
    row = "p, a:read, /x, GET, allow, \"subject.properties.level == 'high'\""
    low = "subjects:\n  - {type: user, id: ann, properties: {level: low}}"
    old, new = snapshot(row, entities=low), snapshot(row, entities=low.replace("level: low", "level: high"))
    assert [(change.kind, change.may) for change in compare(old, new).changes] == [("gain", True), ("loss", True)]
    assert not compare(old, snapshot(row, entities=f"# moved\n{low}")).changes
    thing = "resources:\n  - {type: doc, id: one, properties: {open: true}}"
    assert not compare(snapshot(row), snapshot(row, entities=thing)).changes
    about = row.replace("subject", "resource")
    assert compare(snapshot(about), snapshot(about, entities=thing)).widens


def test_a_resource_named_by_one_policy_has_the_rules_of_its_type_in_the_other() -> None:
    record = "p, a:read, record, read, allow"
    named = "p, anyone, record:one, read, deny"
    (change,) = between((record,), (record, named)).changes
    assert plain(change) == ("loss", "read record:one", (("a:read",),), [])


def test_too_many_combinations_are_unknown_and_count_as_wider() -> None:
    old = tuple(f"p, user:u{number}, /x, GET, allow" for number in range(2_500))
    difference = between(old, tuple(row.replace("user:", "auth:jwt user:") for row in old))
    assert difference.unknown == (("/x", "GET"),)
    assert difference.widens


def test_four_thousand_rules_are_compared_in_seconds() -> None:
    table = RouteTable(Route(f"/r{number}/{{id}}", method) for number in range(400) for method in METHODS[:5])
    rows = [
        f"p, {PERMISSIONS[number % 4]}, /r{number % 400}/**, {METHODS[number % 3]}, {'allow' if number % 7 else 'deny'}"
        for number in range(4_000)
    ]
    links = [f"g, user:u{number}, role:r{number % 10}" for number in range(4_000)]
    links += [f"g, role:r{number}, {PERMISSIONS[number % 4]}" for number in range(10)]
    old = snapshot(*rows, *links, table=table)
    new = snapshot(*reversed(rows), *links[1:], "p, anyone, /r7/{id}, PATCH, allow", table=table)
    started = time.monotonic()
    difference = compare(old, new)
    assert time.monotonic() - started < 10
    assert {change.actions for change in difference.changes if change.kind == "gain"} == {("PATCH",)}
    assert not difference.unknown
