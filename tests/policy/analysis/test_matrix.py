"""The cells of the matrix equal the decisions of the engine."""

from __future__ import annotations

from app.policy.analysis.matrix import MatrixVerdict, caller_grants, cells, columns, rows
from app.policy.engine.snapshot import Snapshot
from app.policy.language.caller import read_caller
from app.policy.language.when.condition import NO_CONTEXT
from tests.policy import shipped
from tests.policy.small import snapshot


def table(policy: Snapshot) -> dict[tuple[str, str], dict[str, MatrixVerdict]]:
    """Every cell, by resource and actions, then by column."""
    names = columns(policy)
    effective = [policy.effective(read_caller(caller_grants(name, policy))) for name in names]
    return {
        (row.resource, "|".join(row.actions)): dict(zip(names, cells(row, effective), strict=True))
        for row in rows(policy)
    }


def test_a_cell_is_allow_deny_conditional_or_none() -> None:
    policy = snapshot(
        "p, a:read, /x, GET, allow",
        "p, role:blocked, /x, GET, deny",
        "p, a:write, /x, POST, allow, \"request.ip == '10.0.0.1'\"",
        "g, role:blocked, a:read",
        "g, user:u, role:blocked",
    )
    found = table(policy)
    assert found["/x", "GET"]["a:read"] is MatrixVerdict.ALLOW
    assert found["/x", "GET"]["role:blocked"] is MatrixVerdict.DENY
    assert found["/x", "GET"]["auth:jwt"] is MatrixVerdict.NO
    assert found["/x", "POST"]["a:write"] is MatrixVerdict.CONDITIONAL


def test_methods_with_the_same_rules_are_one_row() -> None:
    policy = snapshot("p, a:read, /x, GET|POST, allow", "p, a:read, /y, GET, allow")
    assert [(row.resource, row.actions) for row in rows(policy)] == [("/x", ("GET", "POST")), ("/y", ("GET",))]


def test_an_app_has_the_scopes_that_it_may_ask_for() -> None:
    policy = snapshot(
        "p, a:read, /x, GET, allow",
        "p, b:read, /y, GET, allow",
        "p, app-kind:registered, scope:a:read, ask, allow",
        "p, app:acme, scope:b:read, ask, allow",
        "p, app:acme, scope:a:read, ask, deny",
    )
    found = table(policy)
    assert {name: found["/x", "GET"][name] for name in columns(policy)[-2:]} == {
        "app-kind:registered": MatrixVerdict.ALLOW,
        "app:acme": MatrixVerdict.NO,
    }
    assert found["/y", "GET"]["app:acme"] is MatrixVerdict.ALLOW
    assert found["scope:b:read", "ask"]["app:acme"] is MatrixVerdict.ALLOW
    assert found["scope:a:read", "ask"]["a:read"] is MatrixVerdict.NO


def test_only_anonymous_callers_are_not_signed_in() -> None:
    policy = snapshot("p, auth:jwt a:read, /x, GET, allow", "p, anyone, /y, GET, allow")
    found = table(policy)
    assert [name for name, verdict in found["/x", "GET"].items() if verdict is MatrixVerdict.ALLOW] == ["a:read"]
    assert set(found["/y", "GET"].values()) == {MatrixVerdict.ALLOW}


def test_the_cells_of_the_shipped_policy_equal_decisions() -> None:
    policy = shipped.snapshot_of(shipped.shipped_files())
    for (resource, actions), found in table(policy).items():
        for column, verdict in found.items():
            for action in actions.split("|"):
                decision = policy.decide(read_caller(caller_grants(column, policy)), resource, action, NO_CONTEXT)
                assert (verdict is MatrixVerdict.ALLOW) is bool(decision), (resource, action, column)


def test_a_matrix_row_names_its_files() -> None:
    (row,) = rows(snapshot("p, a:read, /x, GET, allow"))
    assert row.files == {"rows.csv"}
