"""Patterns of paths and methods are carried over with the verdicts of pycasbin."""

from __future__ import annotations

import json

import pytest

from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.path_pattern import patterns_of
from tests.policy.casbin_import.importing import codes, faults, imported, model, path_model, rows_of
from tests.support.casbin_policies import ALLOW_AND_DENY


@pytest.mark.parametrize(
    ("function", "pattern", "resource"),
    [
        ("keyMatch", "/orders/7", "/orders/7"),
        ("keyMatch", "/orders/*", "/orders/*/**"),
        ("keyMatch", "/orders/*/items", "/orders/*/**"),  # for Casbin the pattern ends at its `*`
        ("keyMatch", "/*", "/**"),
        ("keyMatch2", "/orders/:id", "/orders/*"),
        ("keyMatch2", "/orders/:id/items/*", "/orders/*/items/*/**"),
        ("keyMatch3", "/orders/{id}", "/orders/*"),
        ("keyMatch3", "/orders/{id}/*", "/orders/*/*/**"),
        ("keyMatch4", "/orders/{id}", "/orders/*"),
        ("keyMatch5", "/orders/{id}/items", "/orders/*/items"),
        ("regexMatch", "^/orders/[^/]+$", "/orders/*"),
        ("regexMatch", "^/orders$", "/orders"),
        ("regexMatch", "^/orders/?$", "/orders"),
        ("regexMatch", "^/orders/.+$", "/orders/*/**"),
        ("regexMatch", "^/.+$", "/*/**"),
        ("regexMatch", "^/v1\\.0/orders$", "/v1.0/orders"),
        ("regexMatch", "^/v1[.]0/[o]rders$", "/v1.0/orders"),
    ],
)
def test_patterns_of_paths(function: str, pattern: str, resource: str) -> None:
    done = imported(path_model(function), f"p, ann, {pattern}, GET")
    assert done.is_exact
    assert rows_of(done)[0] == f"p, user:ann, orders:{resource}, GET, allow"
    assert "p, anyone, orders:/**, HEAD, deny" in rows_of(done)  # Casbin allows GET alone


def test_the_generated_document_names_its_parameters() -> None:
    done = imported(path_model("keyMatch2"), "p, ann, /orders/:id/items/:item, GET")
    paths = json.loads(done.files["upstreams/orders.openapi.json"])["paths"]
    assert [each["name"] for each in paths["/orders/{p2}/items/{p4}"]["parameters"]] == ["p2", "p4"]
    assert "depth" not in codes(done, "remark")
    for depth in (1, 3):
        done = imported(path_model("keyMatch"), "p, ann, /a/*, GET", options=ImportOptions("orders", depth=depth))
        paths = json.loads(done.files["upstreams/orders.openapi.json"])["paths"]
        assert list(paths) == ["/a/" + "/".join(f"{{p{at}}}" for at in range(2, 3 + more)) for more in range(depth + 1)]
        assert "depth" in codes(done, "remark")


def test_alternatives_of_a_regular_expression_are_rows() -> None:
    done = imported(path_model("regexMatch"), "p, ann, ^/(orders|items)/(7|8)$, GET")
    assert [row.split(", ")[2] for row in rows_of(done)[:4]] == [
        "orders:/orders/7",
        "orders:/orders/8",
        "orders:/items/7",
        "orders:/items/8",
    ]


def test_a_path_without_a_pattern_function_has_no_parameters() -> None:
    rows = ("p, ann, /a/:id, GET", "p, ann, /{a}, GET", "p, ann, /a/b:, GET", "p, ann, /a/%41, GET")
    done = imported(path_model("keyMatch"), *rows)
    reasons = ["`:id` and `{id}` are text", "`:id` and `{id}` are text", "written in other ways"]
    found = [note for note in done.notes if note.kind == "left-out"]
    assert [(note.line, reason in note.message) for note, reason in zip(found, reasons, strict=True)] == [
        (line, True) for line in (1, 2, 4)
    ]
    assert [row.split(", ")[2] for row in rows_of(done) if "user:ann" in row] == ["orders:/a/b:"]


def test_alternatives_may_be_64_and_end_each_by_itself() -> None:
    names = [f"x{at}" for at in range(64)]
    done = imported(path_model("regexMatch"), f"p, ann, ^/({'|'.join(names)})$, GET", "p, bob, ^/a$|^/b$, GET")
    assert [row.split(", ")[2] for row in rows_of(done) if "user:ann" in row] == [f"orders:/{name}" for name in names]
    assert [row.split(", ")[2] for row in rows_of(done) if "user:bob" in row] == ["orders:/a", "orders:/b"]
    assert done.is_exact


def test_groups_that_are_nested_too_deeply_are_left_out() -> None:
    for depth, found in ((20, set()), (21, {"object"})):
        done = imported(path_model("regexMatch"), f"p, ann, ^/{'(' * depth}a{')' * depth}$, GET", "p, bob, ^/b$, GET")
        assert codes(done, "left-out") == found


def test_segments_that_must_be_equal_cannot_be_in_a_role_of_objects() -> None:
    text = model("r.sub == p.sub && g2(r.obj, p.obj) && r.act == p.act", groups="g = _, _\ng2 = _, _")
    options = ImportOptions("orders", samples=30, matching={"g2": "keyMatch4"})
    rows = ("p, ann, books, GET", "g2, /a/{x}/{x}, books", "p, bob, shelf, GET", "g2, /b/{x}, shelf")
    done = imported(text, *rows, options=options)
    assert [row for row in rows_of(done) if "orders:/" in row and "allow" in row] == [
        "p, user:bob, orders:/b/*, GET, allow"
    ]
    assert codes(done, "left-out") == {"object"}


@pytest.mark.parametrize(
    ("obj", "action", "without"),
    [("/a/b", "*", set()), ("/a/b", "GET", set()), ("/a/b", "7", {"action"}), ("stock", "read", {"idle-deny"})],
)
def test_a_deny_of_what_is_no_action_has_no_effect(obj: str, action: str, without: set[str]) -> None:
    text = model(
        "r.sub == p.sub && r.obj == p.obj && keyMatch(r.act, p.act)",
        groups="",
        policy="sub, obj, act, eft",
        effect=ALLOW_AND_DENY,
    )
    done = imported(text, f"p, ann, {obj}, {action}, deny", "p, ann, /a/b, *, allow")
    assert codes(done, "no-effect") == without


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("^/+a$", "first slash is repeated"),
        ("^/?a$", "first slash is repeated"),
        ("^.?/a$", "does not start with a slash"),
        ("^[a-z]?/a$", "does not start with a slash"),
        ("^.b$", "does not start with a slash"),
        ("^[^a]b/c$", "does not start with a slash"),
        ("^/a//b$", "empty segment"),
        ("^/a/+b$", "repeats a slash"),
        ("^/a//?$", "repeats a slash"),
        ("^/a/b.*c$", "can match slashes"),
        ("^/a$b", "a `$` before its end"),
        ("^/a$b$", "a `$` before its end"),
        ("^/a^", "a `^` after its start"),
        ("^/a(^b)", "a `^` after its start"),
        ("^/a(b)+$", "repeats a group"),
        ("^/a(?!b)$", "a group with an extension"),
        ("^/a\\Sb$", "it has `\\S`"),
        ("^/a/%$", "cannot be a segment"),
        ("^/" + "(a|b|c|d|e)" * 3 + "$", "more than 64 alternatives"),
        ("^/(" + "|".join(f"x{at}" for at in range(65)) + ")$", "more than 64 alternatives"),
    ],
)
def test_regular_expressions_that_no_row_can_state(pattern: str, part: str) -> None:
    assert part in patterns_of("regexMatch", pattern).fault
    done = imported(path_model("regexMatch"), f"p, ann, {pattern}, GET", "p, bob, ^/b$, GET")
    assert codes(done, "left-out") == {"object"}
    assert not [row for row in rows_of(done) if "user:ann" in row]
    text = model(
        "r.sub == p.sub && regexMatch(r.obj, p.obj) && r.act == p.act",
        groups="",
        policy="sub, obj, act, eft",
        effect=ALLOW_AND_DENY,
    )
    (fault,) = faults(text, f"p, ann, {pattern}, GET, deny", "p, ann, ^/b$, GET, allow")
    assert (fault.code, fault.line, part in fault.message) == ("unstated-deny", 1, True)


@pytest.mark.parametrize("pattern", [".*", "^.+$", "^.*$", "^/.*$", ".*.*", "/", "^/", "/.*", "^/.*.*$", "x|/", "x|.*"])
def test_a_regular_expression_that_all_paths_match(pattern: str) -> None:
    """With a slash at its start it matches no other objects, and no users."""
    done = imported(path_model("regexMatch"), f"p, ann, {pattern}, GET", "p, bob, ^/b$, GET", "p, bob, ^stock$, GET")
    opened = [row.split(", ")[2] for row in rows_of(done) if "user:ann" in row]
    assert opened == ["orders:/**", *([] if "/" in pattern else ["orders:stock"])]
    text = model("regexMatch(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", groups="")
    done = imported(text, f"p, {pattern}, price, read", "p, ^ann$, stock, read")
    assert ("p, auth:jwt, orders:price, read, allow" in rows_of(done)) is ("/" not in pattern)


def test_the_defaults_of_an_import() -> None:
    options = ImportOptions("orders")
    assert (options.depth, options.samples, options.seed, options.ignores_last_slash) == (4, 1_000, 0, False)


def test_segments_that_must_be_equal() -> None:
    """The comparison with pycasbin includes paths with equal and with other segments."""
    done = imported(path_model("keyMatch4"), "p, ann, /a/{id}/b/{id}, GET")
    assert rows_of(done)[0] == 'p, user:ann, orders:/a/*/b/*, GET, allow, "params.p2 == params.p4"'
    assert "condition" in codes(done, "remark")


@pytest.mark.parametrize(
    "pattern", ["/{a}/{a}/{b}/{b}", "/{a}/{a}/{a}", "/{a}/{a}.json", "/x{a}/{a}", "/{a}/{a}/*", "/{a}.x/{a}.x"]
)
def test_more_segments_that_must_be_equal_or_parts_of_them_are_left_out(pattern: str) -> None:
    done = imported(path_model("keyMatch4"), f"p, ann, {pattern}, GET", "p, bob, /{a}/{b}/{a}, GET")
    assert {(note.code, note.line) for note in done.notes if note.kind == "left-out"} == {("object", 1)}
    assert [row for row in rows_of(done) if "user:" in row] == [
        'p, user:bob, orders:/*/*/*, GET, allow, "params.p1 == params.p3"'
    ]


def test_names_with_segments_that_must_be_equal_need_no_condition() -> None:
    options = ImportOptions("orders", samples=30, objects=("a/7/7", "a/7/8"))
    done = imported(path_model("keyMatch4"), "p, ann, a/{x}/{x}, read", options=options)
    assert rows_of(done) == ["p, user:ann, orders:a/7/7, read, allow"]
    assert "condition" not in codes(done, "remark")


@pytest.mark.parametrize(
    ("function", "pattern", "allowed"),
    [
        ("keyMatch2", "/v1.0/b", ["/v1.0/b"]),  # what its author meant
        ("regexMatch", "^/a/x[0-9]$", ["/a/x7"]),
        ("regexMatch", "^/a/.7$", ["/a/.7", "/a/x7"]),
        ("regexMatch", "^/a/.$", ["/a/a", "/a/y"]),
        ("regexMatch", "^/a/y?x?7$", ["/a/x7"]),
    ],
)
def test_patterns_of_parts_of_segments_allow_what_the_files_name(
    function: str, pattern: str, allowed: list[str]
) -> None:
    done = imported(path_model(function), f"p, ann, {pattern}, GET", "p, bob, /x7/y, GET")
    assert [row.split(", ")[2] for row in rows_of(done) if "user:ann" in row] == [f"orders:{each}" for each in allowed]
    assert codes(done, "left-out") == {"pattern"}


@pytest.mark.parametrize(
    ("action", "cell", "methods"),
    [
        ("regexMatch(r.act, p.act)", "(GET)|(POST)", "GET|POST"),
        ("regexMatch(r.act, p.act)", "GET|POST", "GET|POST"),
        ("regexMatch(r.act, p.act)", "P", "POST|PUT|PATCH"),  # for Casbin it matches the start
        ("keyMatch(r.act, p.act)", "*", "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"),
        ('(r.act == p.act || p.act == "*")', "*", "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"),
        # For `regexMatch` it is no pattern, and Casbin does not look at it.
        ('(p.act == "*" || regexMatch(r.act, p.act))', "*", "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"),
        ('r.act in ("GET", p.act)', "POST", "GET|POST"),
        ("r.act == p.act", "TRACE", "TRACE"),
    ],
)
def test_actions_are_methods(action: str, cell: str, methods: str) -> None:
    done = imported(path_model("keyMatch2", action=action), f"p, ann, /orders, {cell}")
    assert done.is_exact
    assert rows_of(done)[0] == f"p, user:ann, orders:/orders, {methods}, allow"


def test_actions_that_stand_for_methods() -> None:
    options = ImportOptions("orders", samples=30, methods={"read": ("GET", "HEAD"), "write": ("POST",)})
    done = imported(path_model("keyMatch2"), "p, ann, /orders, read", "p, bob, /orders, write", options=options)
    assert done.is_exact
    assert rows_of(done) == ["p, user:ann, orders:/orders, GET|HEAD, allow", "p, user:bob, orders:/orders, POST, allow"]


@pytest.mark.parametrize(
    ("function", "pattern", "resource", "is_wider"),
    [
        ("keyMatch2", "/a/:id", "/a/*", False),
        ("keyMatch", "/a/*", "/a/**", True),  # the path with a last slash is that without one
        ("keyMatch2", "/a/:id/", "/a/*", True),
        ("keyMatch4", "/{id}/{id}", "/*/*", True),
        ("regexMatch", "^/a/x[0-9]$", "/a/*", True),
        ("regexMatch", "^/a/.+$", "/a/*/**", False),
        ("regexMatch", "^/.+$", "/*/**", False),
        ("regexMatch", "^/.*/b$", "/**", True),
    ],
)
def test_denies_of_paths_close_at_least_what_casbin_denies(
    function: str, pattern: str, resource: str, is_wider: bool
) -> None:
    text = model(
        f"r.sub == p.sub && {function}(r.obj, p.obj) && r.act == p.act",
        groups="",
        policy="sub, obj, act, eft",
        effect=ALLOW_AND_DENY,
    )
    done = imported(text, f"p, ann, {pattern}, GET, deny", "p, ann, /a/b, GET, allow", "p, bob, /a/b, GET, allow")
    assert f"p, user:ann, orders:{resource}, GET, deny" in rows_of(done)
    assert codes(done, "wider-deny") == ({"pattern"} if is_wider else set())
