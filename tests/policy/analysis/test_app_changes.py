"""The semantic difference for apps on behalf of users is exact, and leaves out what follows from other changes."""

from __future__ import annotations

import random

import pytest

from app.policy.analysis import callers
from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.change_words import describe
from app.policy.analysis.diff_summary import summarize
from app.policy.analysis.semantic_diff import compare
from tests.policy.app_pairs import agree
from tests.policy.small import snapshot

READ, WRITE = "p, a:read, /x, GET, allow", "p, a:write, /x, POST, allow"
ASK = "p, app-kind:registered, scope:a:read, ask, allow"
SHOW = "apps (app-kind:registered) with consent to a:read of users who hold a:read"


def shown(old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    return [f"{change.kind} {describe(change)}" for change in compare(snapshot(*old), snapshot(*new)).changes]


def test_it_agrees_with_brute_force_over_apps_and_users() -> None:
    assert sum(agree(random.Random(f"2026:{number}"), callers=60) for number in range(12)) > 200


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ((READ,), (READ, ASK), [f"gain GET /x  for {SHOW}", "gain ask scope:a:read  for apps (app-kind:registered)"]),
        ((READ, ASK), (READ,), [f"loss GET /x  for {SHOW}", "loss ask scope:a:read  for apps (app-kind:registered)"]),
        ((ASK,), (READ, ASK), ["gain GET /x  for holders of a:read"]),
        ((READ, ASK, "p, app:bad, /x, GET, deny"), (READ, ASK), [
            f"gain GET /x  for {SHOW.replace('registered)', 'registered + app:bad)')}"
        ]),
        ((READ, ASK, "p, app-kind:registered, scope:a:read, ask, deny"), (READ, ASK), [
            f"gain GET /x  for {SHOW}", "gain ask scope:a:read  for apps (app-kind:registered)"
        ]),
        ((READ, ASK), (READ, ASK, "g, app:acme, a:read"), [
            "gain GET /x  for apps (app:acme without app-kind:registered)",
            "gain GET /x  for apps (app-kind:registered + app:acme), "
            "unless they have consent to a:read and the user holds a:read",
        ]),
        ((), ("p, app:acme, /x, GET, allow",), ["gain GET /x  for apps (app:acme)"]),
        ((), ("p, auth:oauth, /x, GET, allow",), ["gain GET /x  for all apps"]),
        ((READ, ASK), (READ, ASK, "p, user:eve auth:oauth, /x, GET, deny"), [f"loss GET /x  for {SHOW} + user:eve"]),
        ((READ, ASK), (READ, ASK, "p, user:eve, /x, GET, deny"), ["loss GET /x  for holders of a:read + user:eve"]),
        ((READ,), ("p, anyone, /x, GET, allow",), ["gain GET /x  for everyone, unless they hold a:read"]),
        ((READ, ASK), (ASK, READ), []),
    ],
)  # fmt: skip
def test_what_apps_gain_and_lose(old: tuple[str, ...], new: tuple[str, ...], changes: list[str]) -> None:
    assert shown(old, new) == changes


def test_the_rows_behind_a_change_include_those_about_scopes() -> None:
    route, scope = compare(snapshot(READ, WRITE), snapshot(READ, WRITE, ASK)).changes
    assert [str(behind.row) for behind in route.rows] == [READ, ASK]
    assert [(behind.side, str(behind.row)) for behind in scope.rows] == [("new", ASK)]
    headlines = summarize(compare(snapshot(READ, WRITE), snapshot(READ, WRITE, ASK)))
    assert [headline.text for headline in headlines] == [
        "apps (app-kind:registered) gain 1 endpoint",
        f"{SHOW} gain 1 endpoint",
    ]


def test_many_apps_with_the_same_rights_are_one_change() -> None:
    asks = [f"p, app:app{number}, scope:a:read, ask, allow" for number in range(300)]
    (change,) = compare(snapshot(READ, *asks), snapshot(READ, *asks, "p, b:read auth:oauth, /x, GET, deny")).changes
    assert [group[0] for group in change.who.holds] == ["consented::a:read", "on-behalf::a:read", "on-behalf::b:read"]
    assert len(change.apps) == 300


def test_too_many_kinds_of_apps_are_unknown_and_count_as_wider(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (READ, ASK, "p, app:acme, /x, GET, deny")
    old, new = snapshot(*rows), snapshot(*rows, WRITE)
    assert not compare(old, new).unknown
    monkeypatch.setattr(callers, "MAX_CLASSES", 1)
    difference = compare(old, new)
    assert difference.widens
    assert set(difference.unknown) == {("/x", "GET"), ("scope:a:read", "ask")}
    assert compare(old, old) == AccessDiff(()), "the same policy has no difference"
