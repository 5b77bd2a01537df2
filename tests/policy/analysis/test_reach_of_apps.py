"""Reverse queries about apps on behalf of users agree with decisions."""

from __future__ import annotations

import itertools
import random

import pytest

from app.audit.record import decision_key
from app.identity.principal import delegated_principal
from app.policy.analysis.contextless import decide_without_context
from app.policy.analysis.reach import app_ways, holders, reach, ways_in
from app.policy.engine.snapshot import Snapshot
from app.policy.language.caller import read_caller
from tests.policy.app_pairs import FACTS, SETS, USERS, make_pair
from tests.policy.engine.test_delegation import App
from tests.policy.small import snapshot
from tests.policy.worlds import snapshot_of

READ, WRITE = "p, a:read, /x, GET, allow", "p, a:write, /x, POST, allow"
ASK = "p, app-kind:registered, scope:a:read, ask, allow"


def test_what_apps_reach_agrees_with_decisions() -> None:
    seeded = random.Random(2026)
    for _ in range(15):
        policy = snapshot_of(make_pair(seeded)[0])
        for _ in range(20):
            words = [*seeded.choice(FACTS), *seeded.choice(SETS), "for", *seeded.choice(USERS), *seeded.choice(SETS)]
            held = read_caller(["auth:oauth", *words])
            reached = {(each.resource, each.action): each.conditional for each in reach(policy, held)}
            for resource, action in policy.index:
                verdicts = {
                    bool(policy.decide(held, resource, action, {"context": {"on": on}} if on is not None else {}))
                    for on in (True, False, None)
                }
                without = decide_without_context(policy, held, resource, action)
                assert without is None or {bool(without)} == verdicts
                assert reached.get((resource, action)) in (
                    {None} if verdicts == {False} else {False} if verdicts == {True} else {True, None}
                )


@pytest.mark.parametrize(
    ("rows", "ways", "apps", "found"),
    [
        ((READ, ASK), [("a:read",)], [("a:read",)], []),
        ((READ,), [("a:read",)], [], []),
        ((READ, ASK, "p, app-kind:registered, scope:a:read, ask, deny"), [("a:read",)], [], []),
        ((READ, ASK, "p, auth:oauth, /x, GET, deny"), [("a:read",)], [], []),
        (("p, app:acme, /x, GET, allow",), [("app:acme",)], [], ["app:acme"]),
        (("p, app:acme a:read, /x, GET, allow", ASK.replace("app-kind:registered", "app:acme")),
         [("a:read", "app:acme")], [], []),
        (("p, app:acme a:read, /x, GET, allow",), [], [], []),
        (("p, app:acme user:ann, /x, GET, allow",), [], [], []),
        ((READ, "g, app:acme, a:read"), [("a:read",)], [], ["app:acme"]),
        (("p, auth:jwt a:read, /x, GET, allow", ASK), [("a:read", "auth:jwt")], [], []),
    ],
)  # fmt: skip
def test_who_reaches_something(
    rows: tuple[str, ...], ways: list[tuple[str, ...]], apps: list[tuple[str, ...]], found: list[str]
) -> None:
    policy = snapshot(*rows)
    rules = policy.rules_for("/x", "GET")
    assert [way.grants for way in ways_in(policy, rules)] == ways
    assert [way.scopes for way in app_ways(policy, rules)] == apps
    assert [holder.grant for holder in holders(policy, rules)] == found


def test_a_logged_app_is_decided_again_with_the_same_grants() -> None:
    principal = delegated_principal("ann", App("https://h.example/c", "document"), ["a:read"], ["a:read", "a:write"])
    policy = snapshot(READ, ASK)
    key = decision_key("app", "/x", "GET", principal, policy.decide(principal.held, "/x", "GET"))
    assert (key.client_id, key.subject, key.method) == ("https://h.example/c", "ann", "oauth")
    assert key.held == principal.held
    other = delegated_principal("bob", App("https://h.example/c", "document"), ["a:read"], ["a:read", "a:write"])
    same = decision_key("app", "/x", "GET", other, policy.decide(other.held, "/x", "GET"))
    assert same.grants == key.grants, "users with the same grants share a set"
    assert same.held == other.held


def test_every_explained_scope_opens_it() -> None:
    policy = snapshot(READ, WRITE, ASK, "p, app:acme, scope:a:write, ask, allow")
    for action, count in itertools.product(("GET", "POST"), range(3)):
        for scopes in itertools.combinations(("a:read", "a:write"), count):
            _check(policy, action, scopes)


def _check(policy: Snapshot, action: str, scopes: tuple[str, ...]) -> None:
    held = read_caller(["app:acme", "app-kind:registered", *scopes, "for", "a:read", "a:write"])
    needed = {"GET": "a:read", "POST": "a:write"}[action]
    decision = policy.decide(held, "/x", action)
    assert bool(decision) is (needed in scopes)
    assert decision.scope == (() if decision else (needed,))
