"""Patterns name routes segment by segment; what is not well formed is refused."""

from __future__ import annotations

import pytest

from app.policy.routes import Route, RouteTable, pattern_fault

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
def test_a_pattern_names_these_templates(pattern: str, templates: set[str]) -> None:
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


def test_a_very_deep_pattern_and_template_exhaust_no_stack() -> None:
    deep = "/x" * 900
    table = RouteTable([Route(deep, "GET")])
    assert table.match(deep) == (deep,)
    assert table.match("/x/**") == (deep,)
