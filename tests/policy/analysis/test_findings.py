"""Findings about a valid policy, with their places."""

from __future__ import annotations

import random
import time

import pytest

from app.policy.analysis import cells
from app.policy.analysis.findings import KINDS, find
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.conftest import Said
from tests.policy.shipped import shipped_files
from tests.policy.shipped import snapshot_of as shipped
from tests.policy.small import TABLE, files, snapshot
from tests.policy.worlds import World, make, snapshot_of, written

READ = "p, a:read, /x, GET, allow"


def found(*rows: str, deprecated: str = "") -> list[tuple[str, int]]:
    """The code and line of each finding about rows."""
    findings = find(snapshot(*rows, deprecated=deprecated))
    return [(finding.at.code, finding.at.line) for finding in findings if finding.at.file == "rows.csv"]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((READ,), []),
        ((READ, "p, a:read, /x, POST, allow", "p, b:read, /x, GET, allow"), []),
        ((READ, "p,a:read,/x,GET,allow"), [("duplicate-row", 2)]),
        (
            (READ, "p, a:read, /x, GET|POST, allow", "p, a:read, /x, POST|GET, allow"),
            [("shadowed-row", 1), ("duplicate-row", 3)],
        ),
        ((READ, "g, user:u1, a:read", "g, user:u1, a:read"), [("duplicate-row", 3)]),
        ((READ, "p, a:read b:read, /x, GET, allow"), [("shadowed-row", 2)]),
        (("p, a:read b:read, /x, GET, allow", READ), [("shadowed-row", 1)]),
        ((READ, "p, a:read, /x/**, GET, allow"), [("shadowed-row", 1)]),
        (
            (READ, "p, a:read, /x/{id}, GET, allow", "p, a:read, /x/**, GET, allow"),
            [("shadowed-row", 1), ("shadowed-row", 2)],
        ),
        ((READ, "p, role:one, /x, GET, allow", "g, role:one, a:read", "g, user:u1, role:one"), [("shadowed-row", 2)]),
        ((READ, "p, role:one, /x, GET, allow", "g, user:u1, role:one"), []),
        ((READ, "p, a:read, /x, GET, allow, \"request.ip == '::1'\""), [("shadowed-row", 2)]),
        ((READ, "p, env:test, /x, GET, deny", "p, env:test key:7, /x, GET, deny"), [("shadowed-row", 3)]),
        ((READ, "p, a:read, /x, GET, deny"), [("contradictory-row", 1)]),
        ((READ, "p, anyone, /**, GET, deny", "p, a:write, /x, POST, allow"), [("contradictory-row", 1)]),
        ((READ, "p, a:read, /x, GET, deny, \"request.ip == '::1'\""), []),
        (("p, a:read, /x/**, GET, allow", "p, a:read, /x, GET, deny"), []),
        ((READ, "p, env:test, /x, POST, deny"), [("deny-never-fires", 2)]),
        (("p, auth:jwt, /x, GET, allow", "p, env:test, /x, GET, deny"), [("deny-never-fires", 2)]),
        ((READ, "p, anyone, /x, POST, deny"), []),
        ((READ, "p, anyone, /x, POST, deny", "p, env:test, /x, POST, deny"), [("shadowed-row", 3)]),
        ((READ, "p, anyone, record, read, deny"), [("deny-never-fires", 2)]),
        ((READ, "p, env:test, /x, GET, deny"), []),
        (("p, anyone, /x, GET|POST, allow",), [("open-to-all", 1)]),
        (("g, anyone, b:read", "p, b:read, /x, POST, allow"), [("open-to-all", 2)]),
        (("p, anyone, /x, GET, allow",), []),
        (("p, b:read, /**, GET, allow",), [("over-broad", 1)]),
        ((READ, "g, role:one, b:read", "g, role:two, role:one"), [("empty-role", 3)]),
        ((READ, "g, role:one, b:read", "g, role:two, role:one", "g, key:7, role:two"), []),
        ((READ, "p, role:one, /x, POST, allow", "g, role:one, b:read"), [("unheld-row", 2), ("empty-role", 3)]),
    ],
    ids=str,
)
def test_these_rows_have_a_finding(rows: tuple[str, ...], expected: list[tuple[str, int]], said: Said) -> None:
    assert found(*rows) == expected
    said(finding.at for finding in find(snapshot(*rows)))


def test_unused_and_deprecated_permissions_are_found_at_their_place() -> None:
    findings = find(snapshot(READ, "p, a:write b:read, /x, POST, allow"))
    assert [(finding.at.code, finding.at.file, finding.at.text) for finding in findings] == [
        ("unused-permission", "permissions.toml", '["c:read"]')
    ]
    assert found(READ, "g, user:u1, a:read", deprecated="a:read") == [
        ("deprecated-permission", 1),
        ("deprecated-permission", 2),
    ]


def test_a_finding_names_its_rows() -> None:
    narrow = (READ, "p, a:read, /x/{id}, GET, allow", "p, a:write c:read, /x, POST, allow")
    (finding,) = find(snapshot(*narrow, "p, b:read a:read, /x/**, GET, allow"))
    assert finding.at.message == "rows.csv:1 and rows.csv:2 together already allow everything that this row does"
    assert finding.severity == KINDS[finding.at.code][0] == "warning"


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("ip_in(request.ip, '10.0.0.0/8')", True),
        ("!(request.ip == '10.0.0.1')", True),
        ("has(request.ip)", True),
        ("request.path == '/request.ip'", False),
    ],
)
@pytest.mark.parametrize("effect", ["allow", "deny"])
def test_a_condition_on_an_address_is_a_finding_without_stated_proxies(
    condition: str, reads: bool, effect: str
) -> None:
    rows = snapshot(READ, "p, a:read, /x, POST, allow", f'p, a:read, /x, POST, {effect}, "{condition}"')
    told = [finding for finding in find(rows, proxies_stated=False) if finding.at.code == "unstated-proxies"]
    assert [(finding.severity, finding.at.line) for finding in told] == [("warning", 3)] * reads
    if reads:
        assert "AUTHZ_TRUSTED_PROXIES" in told[0].at.hint
        assert told[0].at.text[told[0].at.column - 1 :].startswith("request.ip")
    assert "unstated-proxies" not in [finding.at.code for finding in find(rows)]


def test_the_shipped_policy_is_without_warnings() -> None:
    findings = find(shipped(shipped_files()))
    assert [finding for finding in findings if finding.severity == "warning"] == []


def test_thousands_of_rules_are_compared_in_seconds() -> None:
    table = RouteTable(Route(f"/r{number}", "GET") for number in range(400))
    rows = [f"p, a:read user:u{number}, /r{number % 400}, GET, allow" for number in range(4_000)]
    started = time.monotonic()
    findings = find(snapshot(*rows, "p, a:read, /r7, GET, allow", table=table))
    assert time.monotonic() - started < 10
    assert sum(finding.at.code == "shadowed-row" for finding in findings) == 10


def test_a_resource_with_too_many_rules_is_reported_as_not_analysed() -> None:
    rows = [f"p, user:u{number}, /x, GET, allow" for number in range(2_000)]
    assert "not-analysed" in [code for code, _ in found(*rows)]


def test_rows_without_effect_have_no_effect() -> None:
    """Deleting rows with these findings, one at a time or the shadowed ones together, changes no verdict."""
    seeded = random.Random(11)
    deleted = dict.fromkeys(("shadowed-row", "duplicate-row", "contradictory-row", "deny-never-fires", "unheld-row"), 0)
    for _ in range(150):
        world = make(seeded)
        world.rows.insert(seeded.randrange(len(world.rows)), seeded.choice(world.rows))
        before = snapshot_of(written(world))
        lines: dict[str, list[int]] = {}
        for finding in find(before):
            lines.setdefault(finding.at.code, []).append(finding.at.line)
        for code in deleted:
            idle = [line for line in lines.get(code, ()) if line <= len(world.rows)]
            deleted[code] += len(idle)
            for gone in [idle] if code in ("shadowed-row", "duplicate-row") else [[line] for line in idle]:
                rows = [row for line, row in enumerate(world.rows, 1) if line not in gone]
                without = written(World(rows, world.memberships, world.templates, world.things))
                assert not compare(before, snapshot_of(without)).changes, (
                    code,
                    gone,
                    world.files["world.csv"].decode(),
                )
    assert min(deleted.values()) > 3, deleted


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((READ, "p, anyone, /x, GET, deny"), "this row allows nothing: rows.csv:2 always overrides it"),
        ((READ, READ.replace("a:read", "anyone")), "rows.csv:2 already allows everything that this row does"),
        (
            ("p, a:read, /x, GET|POST, allow", "p, anyone, /x, GET, deny", "p, anyone, /x, POST, deny"),
            "this row allows nothing: rows.csv:2 and rows.csv:3 always override it",
        ),
        (
            ("p, a:read, /x, GET|POST, allow", "p, anyone, /x, GET, allow", "p, anyone, /x, POST, allow"),
            "rows.csv:2 and rows.csv:3 together already allow everything that this row does",
        ),
    ],
)
def test_a_finding_names_the_rows_that_make_another_useless(rows: tuple[str, ...], message: str) -> None:
    findings = {finding.at.line: finding.at.message for finding in find(snapshot(*rows))}
    assert findings[1] == message


HEADS = RouteTable(Route(path, method) for path in ("/x", "/y/{id}") for method in ("GET", "HEAD"))


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        (("p, a:read, /x, GET|HEAD, allow", "p, b:read, /x, GET, deny"), [2]),
        (("p, a:read, /**, GET|HEAD, allow", "p, b:read, /**, GET, deny"), [2]),
        (("p, b:read, /x, GET, deny, \"request.ip == '::1'\"", "p, a:read, /x, GET|HEAD, allow"), [1]),
        (("p, env:test, /x, GET, deny", "p, auth:api_key a:read, /x, GET|HEAD, allow"), [1]),
        (("p, env:test, /x, GET, deny", "p, auth:jwt a:read, /x, GET|HEAD, allow"), []),
        (("p, a:read, /x, GET|HEAD, allow", "p, b:read, /x, GET|HEAD, deny"), []),
        (("p, a:read, /x, GET|HEAD, allow", "p, b:read, /x, GET, deny", "p, anyone, /x, HEAD, deny"), []),
        (("p, a:read, /x, GET, allow", "p, b:read, /x, GET, deny"), []),
        (("p, a:read, /y/*, GET|HEAD, allow", "p, b:read, /x, GET, deny"), []),
        (("p, b:read, /x, GET, deny", "p, c:read, /x, HEAD, deny"), []),
    ],
)
def test_a_deny_of_get_that_leaves_head_open_is_found(rows: tuple[str, ...], lines: list[int], said: Said) -> None:
    findings = find(snapshot(*rows, table=HEADS))
    assert [finding.at.line for finding in findings if finding.at.code == "open-head"] == lines
    said(finding.at for finding in findings if finding.at.code == "open-head")


@pytest.mark.parametrize(("terms", "reported"), [(2, False), (3, True), (4, True)])
def test_a_resource_with_too_many_terms_is_not_searched(
    monkeypatch: pytest.MonkeyPatch, terms: int, reported: bool
) -> None:
    monkeypatch.setattr(cells, "MAX_TERMS", terms)
    rows = (READ, "p, a:read b:read, /x, GET, allow", "p, c:read, /x, GET, deny")
    assert (("shadowed-row", 2) in found(*rows)) is reported


@pytest.mark.parametrize("code", KINDS)
def test_a_code_has_a_severity_and_a_meaning(code: str) -> None:
    severity, meaning = KINDS[code]
    assert severity in ("error", "warning", "note")
    assert meaning.endswith(".")


def test_a_deny_that_applies_to_an_implied_head_without_its_condition_is_analysed_with_the_others() -> None:
    document = "openapi: 3.1.0\npaths:\n  /orders/{id}:\n    get: {}\n"
    rows = (
        "p, a:read b:read c:read a:write, /**, GET|POST, allow",
        "p, anyone, shop:/orders/**, GET, allow",
        "p, a:read, shop:/orders/**, GET, allow",
        "p, env:test, shop:/orders/**, GET, deny, request.method == 'GET'",
    )
    texts = {**files(*rows), "upstreams/shop.openapi.yaml": document.encode()}
    found = find(Snapshot(parse(from_bytes(texts)), TABLE))
    assert [(each.at.code, each.at.line) for each in found if each.at.line > 1] == [("shadowed-row", 3)]


def test_every_kind_has_a_severity_and_a_sentence() -> None:
    assert all(severity in ("warning", "note") and text.endswith(".") for severity, text in KINDS.values())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "WEBSOCKET"])
def test_each_method_that_changes_something_is_found_if_it_is_open_to_all(method: str) -> None:
    table = RouteTable([Route("/x", method), Route("/x", "GET")])
    found = find(snapshot(f"p, anyone, /x, GET|{method}, allow", table=table))
    assert [finding.at.code for finding in found if finding.at.code == "open-to-all"] == ["open-to-all"]
    assert not any(each.at.code == "open-to-all" for each in find(snapshot("p, anyone, /x, GET, allow", table=table)))
