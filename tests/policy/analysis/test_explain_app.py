"""Explanations of decisions about an app on behalf of a user: which side denied, and by which row."""

from __future__ import annotations

import itertools

import pytest

from app.policy.analysis.case_runner import run
from app.policy.analysis.coverage import measure
from app.policy.analysis.explain import explain
from app.policy.analysis.explained import explanation_view
from app.policy.analysis.explanation import Explanation, Remedy
from app.policy.engine.snapshot import Snapshot
from app.policy.language.caller import read_caller
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.small import TABLE, files, snapshot

READ, WRITE = "p, a:read, /x, GET, allow", "p, a:write, /x, POST, allow"
ASK = "p, app-kind:registered, scope:a:read, ask, allow"
EDITOR = ("g, user:ann, role:editor", "g, role:editor, a:read", "g, role:editor, a:write")
POLICY = snapshot(READ, WRITE, ASK, *EDITOR, "p, user:eve, /x, GET, deny", "p, app:bad, /x, GET, deny")


def explained(caller: str, action: str = "GET", policy: Snapshot = POLICY) -> Explanation:
    found = explain(policy, read_caller(caller.split()), action, "/x")
    view = explanation_view(found)
    assert [side.side for side in view.sides] == ["app", "user"]
    assert read_caller(view.held) == found.held, "the question can be asked again"
    return found


@pytest.mark.parametrize(
    ("caller", "action", "allowed", "remedy", "opens_with"),
    [
        ("app-kind:registered a:read for user:ann", "GET", (True, True), Remedy.OPEN, ()),
        ("app-kind:registered for user:ann", "GET", (False, True), Remedy.GRANT, ("a:read",)),
        ("app-kind:document a:read for user:ann", "GET", (False, True), Remedy.NOT_ASKABLE, ()),
        ("app-kind:registered for user:ann", "POST", (False, True), Remedy.NOT_ASKABLE, ()),
        ("app-kind:registered a:read for user:bob", "GET", (True, False), Remedy.USER, ()),
        ("app-kind:registered for user:bob", "GET", (False, False), Remedy.USER, ()),
        ("app-kind:registered a:read for user:eve a:read", "GET", (True, False), Remedy.DENIED, ()),
        ("app:bad app-kind:registered a:read for user:ann", "GET", (False, False), Remedy.DENIED, ()),
    ],
)
def test_each_side_is_explained(
    *, caller: str, action: str, allowed: tuple[bool, bool], remedy: Remedy, opens_with: tuple[str, ...]
) -> None:
    found = explained(caller, action)
    assert tuple(side.decision.allowed for side in found.sides) == allowed
    assert found.decision.allowed is all(allowed)
    assert (found.remedy, found.opens_with) == (remedy, opens_with)
    for side in found.sides:
        assert bool(side.decision) or side.denies or side.near


def test_rows_of_both_sides_are_shown() -> None:
    found = explained("app-kind:registered a:read for user:ann")
    app, user = found.sides
    assert [str(row) for row in user.added_by] == [EDITOR[0], EDITOR[1]]
    assert (app.added_by, found.added_by) == ((), user.added_by)
    assert [str(rule) for rule in found.asks] == [ASK]
    denied = explained("app:bad app-kind:registered a:read for user:eve")
    assert [[str(rule) for rule in side.denies] for side in denied.sides] == [
        ["p, app:bad, /x, GET, deny"],
        ["p, user:eve, /x, GET, deny", "p, app:bad, /x, GET, deny"],
    ]


def test_the_nearest_rows_are_those_of_the_side_that_lacks_grants() -> None:
    for caller, lacking in (("app-kind:registered a:read for user:bob", 1), ("app-kind:registered for user:ann", 0)):
        found = explained(caller)
        assert found.near == found.sides[lacking].near != ()
        assert found.sides[1 - lacking].near == ()
    both = explained("app-kind:registered for user:bob")
    assert both.near == both.sides[1].near != ()
    assert explained("app:bad app-kind:registered for user:bob").near == ()


def test_a_condition_reads_the_grants_of_the_side() -> None:
    rows = ("p, a:read, /x, GET, allow, \"'user:ann' in subject.permissions\"", "p, auth:oauth, /x, GET, allow", ASK)
    app, user = explained("app-kind:registered a:read for user:ann a:read", policy=snapshot(*rows)).sides
    assert [side.decision.rule and side.decision.rule.line for side in (app, user)] == [2, 1]


def test_explanations_agree_with_decisions() -> None:
    words = ("app-kind:registered", "app:bad", "a:read", "a:write")
    users = ("user:ann", "user:bob", "user:eve", "a:read", "a:write role:editor")
    for count, user, action in itertools.product(range(5), users, ("GET", "POST")):
        for app in itertools.combinations(words, count):
            held = read_caller(["auth:oauth", *app, "for", *user.split()])
            found = explain(POLICY, held, action, "/x")
            assert found.decision == POLICY.decide(held | {"anyone"}, "/x", action)
            if found.remedy is Remedy.GRANT:
                assert explain(
                    POLICY, held.union(f"consented::{each}" for each in found.opens_with), action, "/x"
                ).decision


CASES = """\
cases:
  - as:
      both: app-kind:registered a:read for user:ann
      user: app-kind:registered a:read for user:bob
      app: app:other a:read for user:ann
    table:
      - GET /x: allow (rows.csv:1) | deny (the user of the app may not do it) | deny (lacks a:read)
  - as: app-kind:registered
    allow:
      - ask scope:a:read: rows.csv:3
# end
"""


def test_cases_about_apps_are_run_and_cover_the_rows_about_scopes() -> None:
    source = {**files(READ, WRITE, ASK, *EDITOR), "tests/own.yaml": CASES.encode()}
    policy = Snapshot(parse(from_bytes(source)), TABLE)
    outcomes = list(run(policy, policy.policy.cases))
    assert [(str(each.case), each.problem) for each in outcomes if each.problem] == []
    first = measure(policy, outcomes[:1])
    assert [str(row) for row in first.idle_rows] == [WRITE, "g, role:editor, a:write"]
    assert "as app-kind:registered auth:oauth a:read for user:ann:" in str(outcomes[0].case)
