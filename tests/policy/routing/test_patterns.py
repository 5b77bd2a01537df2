"""Patterns match routes segment by segment; invalid ones are refused."""

from __future__ import annotations

import pytest

from app.policy.routing.routes import Route, RouteTable, pattern_fault

TEMPLATES = ("/", "/a", "/a/{id}", "/a/search", "/a/{id}/b", "/a/{id}/b/{b_id}", "/static/**", "/aa", "/a.b", "/A")
PARTS = ("/v1/x/{id}", "/v1/x/{id}:cancel", "/v1/x/{a}-{b}")
TABLE = RouteTable(Route(template, "GET") for template in (*TEMPLATES, *PARTS))


@pytest.mark.parametrize(
    ("pattern", "templates"),
    [
        ("/", {"/"}),
        ("/a", {"/a"}),
        ("/a/{id}", {"/a/{id}"}),
        ("/a/{other}", {"/a/{id}"}),
        ("/a/*", {"/a/{id}", "/a/search"}),
        ("/a/search", {"/a/search"}),
        ("/a/7", set()),
        ("/*", {"/a", "/aa", "/a.b", "/A"}),
        ("/*/{y}", {"/a/{id}"}),
        ("/*/*", {"/a/{id}", "/a/search"}),
        ("/{x}/{y}", set()),
        ("/{x}", set()),
        ("/a/{id}/**", {"/a/{id}", "/a/{id}/b", "/a/{id}/b/{b_id}"}),
        ("/{x}/**", set()),
        ("/a/**", {"/a", "/a/{id}", "/a/search", "/a/{id}/b", "/a/{id}/b/{b_id}"}),
        ("/a/*/**", {"/a/{id}", "/a/search", "/a/{id}/b", "/a/{id}/b/{b_id}"}),
        ("/*/*/b", {"/a/{id}/b"}),
        ("/**", {*TEMPLATES, *PARTS}),
        ("/static/**", {"/static/**"}),
        ("/static/*", set()),
        ("/static", set()),
        ("/a.b", {"/a.b"}),
        ("/axb", set()),
        ("/v1/x/{name}", {"/v1/x/{id}"}),
        ("/v1/x/*", {"/v1/x/{id}", "/v1/x/{id}:cancel", "/v1/x/{a}-{b}"}),
        ("/v1/x/{other}:cancel", {"/v1/x/{id}:cancel"}),
        ("/v1/x/{x}-{y}", {"/v1/x/{a}-{b}"}),
        ("/v1/x/{x}:stop", set()),
        ("/v1/x/7:cancel", set()),
    ],
)
def test_a_pattern_matches_these_templates(pattern: str, templates: set[str]) -> None:
    assert set(TABLE.match(pattern)) == templates


@pytest.mark.parametrize(
    "pattern",
    [
        "/",
        "/**",
        "/*",
        "/a",
        "/a/{id}/**",
        "/a.b-c_d~e",
        "/a/:id",
        "/a/$metadata",
        "/a/it's(1)",
        "/.well-known/x",
        "/a%20b",
        "/{1}",
        "/{name}:cancel",
        "/report.{format}",
        "/Products(key={id})",
        "/{base}...{head}",
    ],
)
def test_these_patterns_are_well_formed(pattern: str) -> None:
    assert pattern_fault(pattern) is None


@pytest.mark.parametrize(
    "pattern",
    [
        "/a/", "//", "/a//b", "//a", "/a*", "/*a", "/a/***", "/**/a", "/a/**/**", "/{}", "/{-a}", "/{a}{b}", "/{a}{b}c",
        "/x{a}*", "/{a", "/a}", "/{a:int}", "/{*a}", "/a b", "/a\tb", "/a?b", "/a#b", "/a&b", "/a;b", "/a\\b", "/ä",
        "/a\n", "/a|/b", "/a,b", "/[a]", "/a^", "/^a$ ", "/<id>", '/"a"',
    ],
)  # fmt: skip
def test_these_patterns_are_refused(pattern: str) -> None:
    fault = pattern_fault(pattern)
    assert fault is not None
    assert all(fault)


def test_a_table_knows_its_routes() -> None:
    assert Route("/a", "GET") in TABLE
    assert Route("/a", "POST") not in TABLE
    assert Route("/b", "GET") not in TABLE
    assert TABLE.methods("/a") == ("GET",)
    assert TABLE.methods("/b") == ()
    assert set(TABLE.templates) == {*TEMPLATES, *PARTS}


def test_a_very_deep_pattern_does_not_exhaust_the_stack() -> None:
    deep = "/x" * 900
    table = RouteTable([Route(deep, "GET")])
    assert table.match(deep) == (deep,)
    assert table.match("/x/**") == (deep,)


ROUTES = [Route("/b", "POST"), Route("/a", "PUT"), Route("/b", "GET"), Route("/a/{x}", "GET"), Route("/a", "GET")]
MORE = [Route("s:/z", "PUT"), Route("s:/y/{id}", "GET")]


def test_routes_are_sorted_by_template_and_then_by_method() -> None:
    table = RouteTable(ROUTES)
    assert [str(route) for route in table.routes] == ["GET /a", "PUT /a", "GET /a/{x}", "GET /b", "POST /b"]
    assert table.templates == ("/a", "/a/{x}", "/b")
    assert table.methods("/b") == ("GET", "POST")
    assert table.methods("/c") == ()
    assert [str(route) for route in table.extended(MORE).routes][-2:] == ["GET s:/y/{id}", "PUT s:/z"]


def test_a_table_is_extended_once_by_the_same_routes() -> None:
    table = RouteTable(ROUTES)
    assert table.extended([]) is table
    one = table.extended(MORE)
    assert one is not table and one.added == tuple(MORE)
    assert table.extended(MORE) is one
    closed = table.extended(MORE, ["s:/x"])
    assert closed is not one and closed.closed == {"s:/x"}
    assert table.extended([], ["s:/x"]).added == ()
    assert table.extended(MORE) is not closed
    assert Route("s:/z", "PUT") in one and Route("s:/z", "PUT") not in table and Route("s:/z", "GET") not in one


def test_rows_may_name_implied_methods_and_those_of_a_document() -> None:
    table = RouteTable(ROUTES).extended([*MORE, Route("s:/w", "GET"), Route("s:/w", "HEAD")])
    assert table.actions("/a") == ("GET", "PUT")
    assert table.actions("s:/z") == ("PUT", "OPTIONS")
    assert table.actions("s:/y/{id}") == ("GET", "HEAD", "OPTIONS")
    assert table.actions("s:/w") == ("GET", "HEAD", "OPTIONS")
    assert table.actions("s:/none") == ()
    assert (table.is_closed("/a", ""), RouteTable([], closed=["s:/x"]).is_closed("/x", "s")) == (False, True)


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("/a/", "a pattern must not end with a slash", "write `/a`; it also matches requests with a trailing slash"),
        ("//", "a pattern must not end with a slash", "write `/`;"),
        ("/a//b", "a pattern must not have an empty segment", "write one slash"),
        ("//a", "a pattern must not have an empty segment", "write one slash"),
        ("/**/a", "`**` may only be the last segment", "use `*` for one segment"),
        ("/a/**/**", "`**` may only be the last segment", "use `*`"),
        ("/a*", "`a*` is not a valid segment of a pattern", "a segment is text, `{name}` for a parameter"),
        ("/{a}{b}", "`{a}{b}` is not a valid segment of a pattern", "a segment is text"),
        ("A:/x", "`A` is not a valid service name", "use lower-case letters, digits and `-`"),
        ("s:/x/", "a pattern must not end with a slash", "write `s:/x`"),
    ],
)
def test_an_invalid_pattern_is_refused_with_a_hint(pattern: str, message: str, hint: str) -> None:
    found = pattern_fault(pattern)
    assert found is not None
    assert found[0] == message
    assert found[1].startswith(hint)


@pytest.mark.parametrize("pattern", ["/", "/**", "/*", "/a/{x}.json", "s:/", "s:/**", "/a/*/b"])
def test_a_valid_pattern_has_no_fault(pattern: str) -> None:
    assert pattern_fault(pattern) is None
