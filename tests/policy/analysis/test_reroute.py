"""Paths that match another template after a change of the documents: their changes of access are reported."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest

from app.policy.analysis import reroute
from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.change_words import describe
from app.policy.analysis.reroute import Reroute, Reroutes, TooManyPaths
from app.policy.analysis.semantic_diff import compare
from app.policy.routing.routes import Route, RouteTable
from tests.policy.rerouted import agree, policy

ID = "p, a:read, orders:/v1/{id}, GET, allow"
EXPORT = "p, b:read, orders:/v1/export, GET, allow"


def between(
    old: tuple[str, ...], old_paths: tuple[str, ...], new: tuple[str, ...], new_paths: tuple[str, ...]
) -> AccessDiff:
    return compare(policy(old, old_paths), policy(new, new_paths))


@pytest.mark.parametrize("seed", range(5))
def test_reroutes_equal_decisions_of_each_path(seed: int) -> None:
    assert sum(agree(random.Random(f"{seed}:{number}")) for number in range(30)) > 0


@pytest.mark.parametrize(
    ("rows", "gone", "path"),
    [
        ((EXPORT,), ("/v1/export",), "/v1/export"),
        ((EXPORT, "p, anyone, orders:/v1/export, GET, deny"), ("/v1/export",), "/v1/export"),
        ((EXPORT.replace("export", "{name}.csv"),), ("/v1/{name}.csv",), "/v1/{_}.csv"),
        ((), ("/v1/a{x}", "/v1/{y}b"), "/v1/a{_}"),
        ((), ("/v1/export?x=1",), "/v1/export"),
        ((), ("/v1/a*",), "/v1/{_}"),
        ((ID.replace("{id}", "{a}.{b}"),), ("/v1/{a}.{b}",), "/v1/{_}.{_}"),
    ],
    ids=["literal", "denied", "text and parameter", "ambiguous", "query", "unread", "two parameters"],
)
def test_a_path_that_matches_a_wider_template_gains_its_access(
    rows: tuple[str, ...], gone: tuple[str, ...], path: str
) -> None:
    for kept in ((ID,), (ID, *rows)):  # with and without the rows that match nothing any more
        difference = between((ID, *rows), ("/v1/{id}", *gone), kept, ("/v1/{id}",))
        assert difference.widens
        found = [change for change in difference.changes if change.reroute and change.reroute.path == f"orders:{path}"]
        if path == "/v1/{_}":  # the request matched no other template
            found = [change for change in difference.changes if change.kind == "gain"]
        assert [change.kind for change in found] == ["gain"], difference
        assert found[0].who.holds == (("a:read",),)
        assert "orders:/v1/{id}" in describe(found[0])


def test_the_message_names_the_path_and_both_templates() -> None:
    gain, _ = between((ID, EXPORT), ("/v1/{id}", "/v1/export"), (ID,), ("/v1/{id}",)).changes
    assert describe(gain) == (
        "GET|HEAD orders:/v1/export, now answered by orders:/v1/{id} instead of orders:/v1/export,"
        "  for holders of a:read, unless they hold b:read"
    )
    assert [(behind.side, str(behind.row)) for behind in gain.rows] == [("new", ID)]


def test_a_new_literal_takes_requests_from_the_parameter() -> None:
    difference = between((ID,), ("/v1/{id}",), (ID, EXPORT), ("/v1/{id}", "/v1/export"))
    assert {(change.kind, change.who.holds) for change in difference.changes} == {
        ("gain", (("b:read",),)),
        ("loss", (("a:read",),)),
    }
    denied = between((ID,), ("/v1/{id}",), (ID, EXPORT.replace("allow", "deny")), ("/v1/{id}", "/v1/export"))
    assert not denied.widens
    assert [change.kind for change in denied.changes] == ["loss"]


def test_removing_a_literal_with_the_rules_of_the_parameter_opens_nothing() -> None:
    literal = ID.replace("{id}", "export")
    assert not between((ID, literal), ("/v1/{id}", "/v1/export"), (ID,), ("/v1/{id}",)).widens
    wide = (ID.replace("{id}", "*"),)
    assert not between(wide, ("/v1/{id}", "/v1/export"), wide, ("/v1/{id}",)).widens


def test_a_condition_on_parameters_may_change_its_result() -> None:
    for reads, widens in (("params.id == '7'", True), ("resource.id == 'x'", True), ("request.ip == '::1'", False)):
        rows = tuple(f'{row}, "{reads}"' for row in (ID, ID.replace("{id}", "export")))
        assert between(rows, ("/v1/{id}", "/v1/export"), rows[:1], ("/v1/{id}",)).widens is widens


def test_a_parameter_is_tried_with_each_text_of_another_template() -> None:
    kept = [Route(f"x:{path}", "GET") for path in ("/{a}/items/{c}", "/{a}/{b}/{c}")]
    gone = "x:/v1/{b}/all"
    assert Reroutes(RouteTable([*kept, Route(gone, "GET")]), RouteTable(kept)).of(gone) == (
        Reroute("x:/v1/{b}/all", gone, "x:/{a}/{b}/{c}"),
        Reroute("x:/v1/items/all", gone, "x:/{a}/items/{c}"),
    )


def test_a_template_that_is_spelled_otherwise_too_closes_the_other_while_it_is_there() -> None:
    kept, gone = Route("x:/a-b", "GET"), "x:/a%2Db"
    assert Reroutes(RouteTable([kept, Route(gone, "GET")]), RouteTable([kept])).of(gone) == (
        Reroute("x:/a-b", None, "x:/a-b"),
    )


def test_a_template_with_too_many_paths_is_unknown_and_counts_as_wider() -> None:
    rows, paths = ["p, a:read, orders:/{a}/{b}/{c}, GET, allow"], ["/{a}/{b}/{c}"]
    for number in range(200):
        paths += [f"/{{a}}/y{number}/{{c}}", f"/x{number}/{{b}}/{{c}}"]
    gone = "p, b:read, orders:/{a}/{b}/last, GET, allow"
    difference = between((*rows, gone), (*paths, "/{a}/{b}/last"), tuple(rows), tuple(paths))
    assert difference.unknown == (("orders:/{a}/{b}/last", "*"),)
    assert difference.widens


def test_large_documents_that_are_replaced_are_compared() -> None:
    old = tuple(f"/r{number}/{{id}}/x{number % 7}" for number in range(2_000))
    new = ("/{any}/{id}/{what}", *(path.replace("/r", "/s") for path in old))
    row = "p, a:read, orders:/**, GET, allow"
    assert not between((row,), old, (row,), (*old, "/{any}/{id}/{what}")).unknown
    assert not between((row,), old, (row,), new).unknown


@pytest.mark.parametrize(
    ("gone", "kept", "rerouted"),
    [
        ("x:/a/**", ["x:/{any}/b"], {"x:/a/b": "x:/{any}/b"}),
        ("x:/a/**", ["x:/{any}/{b}/c", "x:/{any}"], {"x:/a/{_}/c": "x:/{any}/{b}/c"}),
        ("x:/a/**", ["x:/{any}/**"], {"x:/a/{_}": "x:/{any}/**"}),
        ("x:/a/b", ["x:/a/**"], {"x:/a/b": "x:/a/**"}),
    ],
)
def test_the_paths_of_a_tail_are_compared(gone: str, kept: list[str], rerouted: dict[str, str]) -> None:
    routes = [Route(template, "GET") for template in kept]
    found = Reroutes(RouteTable([*routes, Route(gone, "GET")]), RouteTable(routes)).of(gone)
    assert {each.path: each.now for each in found if each.now} == rerouted
    assert {each.was for each in found} == {gone}


@pytest.mark.parametrize(("steps", "is_compared"), [(5, False), (6, True)])
def test_the_steps_for_a_template_are_bounded(
    monkeypatch: pytest.MonkeyPatch, steps: int, *, is_compared: bool
) -> None:
    monkeypatch.setattr(reroute, "MAX_STEPS", steps)
    kept = [Route("x:/{any}/b", "GET"), Route("x:/a/{c}", "GET")]
    reroutes = Reroutes(RouteTable([*kept, Route("x:/{d}/e", "GET")]), RouteTable(kept))
    if is_compared:
        assert reroutes.of("x:/{d}/e") == (Reroute("x:/{d}/e", "x:/{d}/e", None),)
    else:
        with pytest.raises(TooManyPaths):
            reroutes.of("x:/{d}/e")


@pytest.mark.parametrize(("steps", "answered"), [(0, 0), (1, 1), (2, 2), (3, 2)])
def test_templates_are_compared_while_steps_are_left(
    monkeypatch: pytest.MonkeyPatch, steps: int, answered: int
) -> None:
    monkeypatch.setattr(reroute, "MAX_ALL_STEPS", steps)
    kept, gone = Route("x:/{any}", "GET"), [Route(f"x:/{name}", "GET") for name in "ab"]
    reroutes = Reroutes(RouteTable([kept, *gone]), RouteTable([kept]))
    found = []
    for template in reroutes.removed:
        with suppress(TooManyPaths):
            found.append(reroutes.of(template))
    assert found == [(Reroute(f"x:/{name}", f"x:/{name}", "x:/{any}"),) for name in "ab"[:answered]]
