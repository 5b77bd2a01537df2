"""Patterns with parts of segments or several open ends: the routes that an allow opens and a deny closes."""

from __future__ import annotations

import pytest

from app.policy.casbin_import import carried_rule, route_templates
from app.policy.casbin_import.import_options import ImportOptions
from tests.policy.casbin_import.importing import codes, faults, imported, model, path_model, rows_of
from tests.support.casbin_policies import ALLOW_AND_DENY


@pytest.mark.parametrize(
    ("function", "pattern", "depth", "routes"),
    [
        ("keyMatch", "/a*", 1, ["/a", "/a/*/**", "/ab", "/abc", "/ab/*/**", "/abc/*/**"]),
        ("keyMatch", "/a/b*", 1, ["/a/b", "/a/b/*/**", "/a/bc", "/a/bc/*/**"]),
        ("regexMatch", "^/a/.*/b$", 1, ["/a/*/b"]),
        ("regexMatch", "^/a/.*/b$", 2, ["/a/*/b", "/a/*/*/b"]),
        ("regexMatch", "^/a/.*/.*/b$", 2, ["/a/*/*/b", "/a/*/*/*/b"]),
        ("regexMatch", "^/a/[bc]+/.*/b$", 1, ["/a/b/*/b", "/a/bc/*/b"]),
        ("regexMatch", "^/a/.*/b/.*$", 1, ["/a/*/b/*/**"]),
        ("regexMatch", "^/a/.*/b/.+$", 1, ["/a/*/b/*/**"]),
        ("regexMatch", "^/(a|.*/)b$", 1, ["/ab", "/*/b"]),
        ("regexMatch", "^/a/b?$", 1, ["/a"]),
        ("regexMatch", "^/a/b?$", 0, []),
        ("regexMatch", "^/a[bc]*$", 1, ["/ab", "/abc"]),
        ("regexMatch", "^/a[bc]{2}$", 1, ["/abc"]),
        ("regexMatch", "^/a[bc]+?$", 1, ["/ab", "/abc"]),
        ("regexMatch", "^/\\w+/b$", 1, ["/b/b", "/ab/b", "/abc/b", "/bc/b"]),
    ],
)
def test_the_routes_of_an_allow(function: str, pattern: str, depth: int, routes: list[str]) -> None:
    """The texts of segments are those that any row has. Without `depth` a last slash stands for itself."""
    others = "/ab/abc/bc" if function == "keyMatch" else "^/ab/abc/bc$"
    options = ImportOptions("orders", depth=depth or 1, samples=50, ignores_last_slash=bool(depth))
    done = imported(path_model(function), f"p, ann, {pattern}, GET", f"p, bob, {others}, GET", options=options)
    found = [row.split(", ")[2].removeprefix("orders:") for row in rows_of(done) if "user:ann" in row]
    known = ("/7", "/x1", "/me", "/a_b")
    assert [route for route in found if not route.startswith(known)] == routes
    assert "pattern" in codes(done, "left-out")


@pytest.mark.parametrize(
    ("function", "pattern", "routes"),
    [
        ("keyMatch", "/a*", ["/a", "/a/**", "/*", "/*/**"]),
        ("keyMatch", "/*", ["/**"]),
        ("keyMatch2", "/a/*/", ["/a/**"]),
        ("keyMatch2", "/a/:id/*", ["/a/*/**"]),
        ("regexMatch", "^/a/b?$", ["/a/*", "/a"]),
        ("regexMatch", "^/a/.*/c$", ["/a/**"]),
        ("regexMatch", "^/a/b/.*/c/.*/d$", ["/a/b/**"]),
        ("regexMatch", "^/[ab]/.*/c$", ["/*/**"]),
        ("regexMatch", "^/[ab]/c/.+$", ["/*/c/*/**"]),
        ("regexMatch", "^/[ab]/c/.*$", ["/*/c/**"]),
        ("regexMatch", "^/[ab]/c/$", ["/*/c"]),
    ],
)
def test_the_routes_of_a_deny(function: str, pattern: str, routes: list[str]) -> None:
    text = model(
        f"r.sub == p.sub && {function}(r.obj, p.obj) && r.act == p.act",
        groups="",
        policy="sub, obj, act, eft",
        effect=ALLOW_AND_DENY,
    )
    allow = "^/x/y/z/w/v$" if function == "regexMatch" else "/x/y/z/w/v"
    done = imported(text, f"p, ann, {pattern}, GET, deny", f"p, ann, {allow}, GET, allow")
    denied = [row.split(", ")[2].removeprefix("orders:") for row in rows_of(done) if row.startswith("p, user:ann")]
    assert denied == [*routes, "/x/y/z/w/v"]
    assert codes(done, "wider-deny") == ({"pattern"} if pattern != "/*" else set())


@pytest.mark.parametrize("pattern", ["^/a.c$", "^/a.c/.*/d$", "^/a.c/.*$", "^/b/a.c/d$", "^/b/[^a]/d$"])
def test_a_deny_of_a_part_that_can_be_a_slash_refuses_the_import(pattern: str) -> None:
    text = model(
        "r.sub == p.sub && regexMatch(r.obj, p.obj) && r.act == p.act",
        groups="",
        policy="sub, obj, act, eft",
        effect=ALLOW_AND_DENY,
    )
    (fault,) = {
        each.message: each for each in faults(text, f"p, ann, {pattern}, GET, deny", "p, ann, ^/b$, GET, allow")
    }.values()
    assert (fault.code, fault.file, fault.line, fault.column) == ("unstated-deny", "policy.csv", 1, 1)
    assert "write `[.]`" in fault.hint


def test_a_pattern_becomes_a_limited_number_of_rows() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(carried_rule, "MAX_EXPANDED", 3)
        done = imported(path_model("regexMatch"), "p, ann, ^/[abc]/[abc]$, GET", "p, bob, ^/a/b/c$, GET")
    assert [row.split(", ")[2] for row in rows_of(done) if "user:ann" in row] == [
        "orders:/a/a",
        "orders:/a/b",
        "orders:/a/c",
    ]


@pytest.mark.parametrize(("bound", "enough", "few"), [("MAX_TEMPLATES", 31, 30), ("MAX_COMPARED", 1_000, 10)])
def test_patterns_that_overlap_too_often(bound: str, enough: int, few: int) -> None:
    """Each pair has paths in common, and needs a template of its own: one for each set of `k` at five places."""
    rows = [f"p, ann, /{'/'.join('k' if place == at else ':x' for place in range(5))}, GET" for at in range(5)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(route_templates, bound, enough)
        assert imported(path_model("keyMatch2"), *rows).is_exact
        patch.setattr(route_templates, bound, few)
        (fault,) = faults(path_model("keyMatch2"), *rows)
    assert (fault.code, fault.file, fault.line, fault.column) == ("too-many-paths", ".", 0, 0)
