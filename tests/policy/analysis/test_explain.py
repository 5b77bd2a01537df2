"""Explanations: the deciding row, the nearest rows, and the fewest grants that would open it."""

from __future__ import annotations

import random
from itertools import chain, combinations

import pytest

from app.policy.analysis.explain import explain
from app.policy.analysis.explanation import Explanation, Remedy
from app.policy.analysis.near_rows import ConditionOutcome
from app.policy.engine.snapshot import Snapshot
from app.policy.language.given import Given
from app.policy.language.grants import excludes
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import shipped_files

TEAM = "/api/v1/teams/{team_id}"
TABLE = RouteTable([Route(TEAM, "GET"), Route(TEAM, "DELETE"), Route("/api/v1/teams", "GET")])


def _snapshot(*rows: str) -> Snapshot:
    files = {name: data for name, data in shipped_files().items() if not name.endswith((".csv", ".yaml"))}
    files["some.csv"] = "".join(f"{row}\n" for row in (*rows, "# end")).encode()
    return Snapshot(parse(from_bytes(files)), TABLE)


def _explain(snapshot: Snapshot, held: str, *, given: Given | None = None, method: str = "GET") -> Explanation:
    return explain(snapshot, held.split(), method, "/api/v1/teams/7", given or {})


READ = "p, catalog:read, /api/v1/teams/**, GET, allow"


def test_an_allowed_request_names_its_row() -> None:
    found = _explain(_snapshot("# rows", READ), "auth:jwt catalog:read")
    assert found.decision
    assert found.decision.rule is not None
    assert found.decision.rule.place == "some.csv:2"
    assert found.remedy is Remedy.OPEN
    assert (found.near, found.denies, found.opens_with, found.added_by) == ((), (), (), ())


def test_every_caller_holds_anyone() -> None:
    assert _explain(_snapshot("p, anyone, /api/v1/teams/**, GET, allow"), "auth:anonymous").decision


def test_the_rows_through_which_a_role_gives_a_grant_are_shown_in_order() -> None:
    snapshot = _snapshot(
        READ,
        "g, role:b, catalog:read",
        "g, role:a, role:b",
        "g, user:ann, role:a",
        "g, role:a, catalog:write",
    )
    found = _explain(snapshot, "auth:jwt user:ann")
    assert [row.line for row in found.added_by] == [4, 3, 2]
    assert found.effective >= {"role:a", "role:b", "catalog:read", "catalog:write"}


def test_the_shortest_way_through_roles_is_shown() -> None:
    snapshot = _snapshot(READ, "g, role:a, role:b", "g, role:b, catalog:read", "g, role:a, catalog:read")
    assert [row.line for row in _explain(snapshot, "role:a").added_by] == [4]


def test_a_denial_shows_the_nearest_row_and_the_missing_grants() -> None:
    snapshot = _snapshot("p, catalog:read catalog:write holdings:read, /api/v1/teams/**, GET, allow", READ)
    found = _explain(snapshot, "auth:jwt")
    assert [(row.rule.line, row.lacks) for row in found.near] == [
        (2, ("catalog:read",)),
        (1, ("catalog:read", "catalog:write", "holdings:read")),
    ]
    assert (found.remedy, found.opens_with) == (Remedy.GRANT, ("catalog:read",))
    assert found.near[0].lacks == found.decision.missing


def test_at_most_three_nearest_rows_are_shown() -> None:
    rows = [f"p, catalog:read user:u{n}, /api/v1/teams/**, GET, allow" for n in range(9)]
    assert len(_explain(_snapshot(*rows), "auth:jwt user:me").near) == 3


def test_a_deny_cannot_be_opened_by_any_grant() -> None:
    snapshot = _snapshot(READ, "p, env:test, /api/v1/teams/**, GET, deny")
    found = _explain(snapshot, "auth:api_key env:test catalog:read")
    assert [rule.line for rule in found.denies] == [2]
    assert (found.remedy, found.opens_with, found.near) == (Remedy.DENIED, (), ())


def test_a_grant_that_activates_a_deny_is_not_proposed() -> None:
    snapshot = _snapshot(READ, "p, catalog:read auth:api_key, /api/v1/teams/**, GET, deny")
    assert _explain(snapshot, "auth:api_key").remedy is Remedy.DENIED_THEN
    assert _explain(snapshot, "auth:jwt").opens_with == ("catalog:read",)


def test_the_next_row_is_proposed_when_the_nearest_leads_into_a_deny() -> None:
    snapshot = _snapshot(
        READ, "p, catalog:write holdings:read, /api/v1/teams/**, GET, allow", "p, catalog:read, /api/**, GET, deny"
    )
    assert _explain(snapshot, "auth:jwt").opens_with == ("catalog:write", "holdings:read")


def test_a_fact_of_other_callers_is_never_proposed() -> None:
    found = _explain(_snapshot("p, auth:jwt, /api/v1/teams/**, GET, allow"), "auth:api_key env:live")
    assert found.near[0].never == ("auth:jwt",)
    assert (found.remedy, found.opens_with) == (Remedy.FACTS, ())


@pytest.mark.parametrize(
    ("held", "fact", "impossible"),
    [
        *(("auth:jwt", fact, True) for fact in ("auth:api_key", "auth:anonymous", "env:live", "key:7")),
        *(("auth:jwt user:a", fact, fact == "user:b") for fact in ("user:b", "role:x", "catalog:read", "anyone")),
        *(("auth:api_key key:7", fact, fact != "env:live") for fact in ("key:8", "user:a", "auth:jwt", "env:live")),
        *(("env:live", fact, True) for fact in ("env:test", "user:a")),
        *(("catalog:read role:x", fact, False) for fact in ("auth:jwt", "user:a", "key:1", "env:test")),
    ],
)
def test_exclusive_facts_are_not_combined(held: str, fact: str, impossible: bool) -> None:
    assert excludes(held.split(), fact) is impossible


def test_a_resource_without_an_allow_has_no_remedy() -> None:
    found = _explain(_snapshot(READ), "auth:jwt", method="DELETE")
    assert (found.remedy, found.near) == (Remedy.NO_ALLOW, ())


def test_a_resource_has_the_rules_of_its_type_unless_a_row_names_it() -> None:
    snapshot = _snapshot("p, catalog:read, record, read, allow", "p, auth:jwt, record:record-1, read, deny")
    assert explain(snapshot, {"catalog:read", "auth:jwt"}, "read", "record:record-9").decision
    assert explain(snapshot, {"catalog:read", "auth:jwt"}, "read", "record:record-1").remedy is Remedy.DENIED


CONDITION = (
    """p, catalog:read, /api/v1/teams/**, GET, allow, "request.ip == '10.0.0.1' && params.team_id == '7'" """.strip()
)


@pytest.mark.parametrize(
    ("given", "met", "remedy"),
    [
        ({"request": {"ip": "10.0.0.1"}}, None, Remedy.OPEN),
        ({"request": {"ip": "10.0.0.2"}}, ConditionOutcome.NO, Remedy.CONDITION),
        ({}, ConditionOutcome.ERROR, Remedy.CONDITION),
    ],
)
def test_a_condition_is_shown_with_its_result(given: Given, met: ConditionOutcome | None, remedy: Remedy) -> None:
    found = _explain(_snapshot(CONDITION), "auth:jwt catalog:read", given=given)
    assert (found.near[0].condition if found.near else None) is met
    assert found.remedy is remedy
    assert bool(found.near and found.near[0].error) is (met is ConditionOutcome.ERROR)


def test_an_error_in_the_condition_of_a_deny_denies() -> None:
    snapshot = _snapshot(READ, "p, anyone, /api/v1/teams/**, GET, deny, \"request.ip == '10.0.0.1'\"")
    found = _explain(snapshot, "auth:jwt catalog:read")
    assert [rule.line for rule in found.denies] == [2]
    assert _explain(snapshot, "catalog:read", given={"request": {"ip": "10.0.0.2"}}).decision


def test_conditions_read_the_facts_of_the_caller() -> None:
    row = 'p, anyone, /api/v1/teams/**, GET, allow, "{}"'
    said = {
        "subject.id == 'ann' && subject.type == 'user' && subject.method == 'jwt'": "auth:jwt user:ann",
        "subject.id == '7' && subject.type == 'key' && subject.environment == 'test'": "auth:api_key env:test key:7",
        "subject.id == '' && subject.type == 'anonymous'": "auth:anonymous",
        "'catalog:read' in subject.permissions": "role:reader",
        "action.name == 'GET' && resource.type == 'route' && resource.id == '" + TEAM + "'": "auth:jwt",
    }
    for condition, held in said.items():
        snapshot = _snapshot(row.format(condition), "g, role:reader, catalog:read")
        assert _explain(snapshot, held).decision, condition


GRANTS = (
    "catalog:read",
    "catalog:write",
    "holdings:read",
    "holdings:write",
    "role:a",
    "role:b",
    "auth:jwt",
    "auth:api_key",
)


def test_the_proposed_grants_agree_with_brute_force() -> None:
    """For random policies: the proposed grants are sufficient and minimal, and `nothing` is correct."""
    chance = random.Random(20261124)
    seen = set()
    for _ in range(400):
        rows = [
            f"p, {' '.join(chance.sample(GRANTS, chance.randint(1, 3)))}, /api/v1/teams/**, GET, "
            + chance.choice(("allow", "allow", "allow", "deny"))
            for _ in range(chance.randint(1, 5))
        ]
        roles = [f"g, {role}, {grant}" for role in ("role:a", "role:b") for grant in chance.sample(GRANTS[:4], 1)]
        snapshot = _snapshot(*rows, *roles)
        held = frozenset(chance.sample(GRANTS, chance.randint(0, 3)))
        found = explain(snapshot, held, "GET", "/api/v1/teams")
        seen.add(found.remedy)
        possible = [grant for grant in GRANTS if not excludes(found.effective, grant)]
        subsets = map(frozenset, chain.from_iterable(combinations(possible, n) for n in range(len(possible) + 1)))
        ways = [more for more in subsets if snapshot.decide(held | more, "/api/v1/teams", "GET")]
        if found.remedy is Remedy.OPEN:
            assert frozenset() in ways
        elif found.remedy is Remedy.GRANT:
            way = frozenset(found.opens_with)
            assert way in ways
            assert not any(other < way for other in ways)
        else:
            assert not [way for way in ways if not {"auth:jwt", "auth:api_key"} <= held | way]
    assert seen >= {Remedy.OPEN, Remedy.GRANT, Remedy.DENIED, Remedy.DENIED_THEN, Remedy.FACTS, Remedy.NO_ALLOW}
