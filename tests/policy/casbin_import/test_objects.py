"""Objects that are no paths are those that the files and the options name, and no others."""

from __future__ import annotations

import pytest

from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import FinishedImport
from tests.policy.casbin_import.importing import codes, imported, model, path_model, rows_of

GROUPED = "r.sub == p.sub && (g2(r.obj, p.obj) || keyMatch(r.obj, p.obj)) && r.act == p.act"
GROUPS = "g = _, _\ng2 = _, _"


def opened(done: FinishedImport, subject: str = "ann") -> list[str]:
    """The resources that are allowed to a user."""
    return [row.split(", ")[2] for row in rows_of(done) if row.startswith(f"p, user:{subject}, ")]


@pytest.mark.parametrize(
    ("function", "pattern", "other", "things", "notes"),
    [
        ("keyMatch", "stock*", "stock1", ["orders:stock1"], {"remark"}),
        ("keyMatch", "x*", "stock1", [], {"left-out"}),
        ("keyMatch", "stock1", "stock2", ["orders:stock1"], set()),
        ("keyMatch2", "stock/:x", "stock/7", ["orders:stock/7"], {"remark"}),
        ("keyMatch2", "stock1", "stock2", ["orders:stock1"], set()),
        ("regexMatch", "^stock[0-9]$", "stock7", ["orders:stock7"], {"remark"}),
        ("regexMatch", "^stock1$", "stock2", ["orders:stock1"], set()),
    ],
)
def test_a_pattern_of_things_opens_those_that_the_files_name(
    function: str, pattern: str, other: str, things: list[str], notes: set[str]
) -> None:
    # To `regexMatch` a name without its end would be a pattern of longer names.
    named = f"^{other}$" if function == "regexMatch" else other
    done = imported(path_model(function), f"p, ann, {pattern}, read", f"p, bob, {named}, read")
    assert opened(done) == things
    assert opened(done, "bob") == [f"orders:{other}"]
    assert {note.kind for note in done.notes if note.code == "object" and note.line == 1} == notes


def test_patterns_of_paths_open_no_things() -> None:
    for pattern, notes in (("/a/:id", 0), ("/a//b", 1)):  # the latter is the path of no request
        done = imported(path_model("keyMatch2"), f"p, ann, {pattern}, GET", "p, bob, a/7, GET")
        assert sum(note.code == "object" for note in done.notes) == notes
        assert opened(done) == ([] if notes else ["orders:/a/*"])


@pytest.mark.parametrize(
    ("text", "rows", "found"),
    [
        (path_model("keyMatch"), ("p, ann, *, GET", "p, bob, /a, GET"), ["orders:/**"]),
        (path_model("regexMatch"), ("p, ann, .*, GET", "p, bob, ^/a$, GET"), ["orders:/**"]),
        (path_model("keyMatch"), ("p, ann, *, GET",), ["orders:/**"]),
        (path_model("keyMatch"), ("p, ann, *, GET", "p, bob, a, GET"), ["orders:a"]),
        (
            model(GROUPED, groups=GROUPS),
            ("p, ann, *, GET", "p, bob, books, GET", "g2, /a, books"),
            ["orders:/**", "orders:books"],
        ),
        (
            model(GROUPED, groups=GROUPS),
            ("p, ann, *, GET", "p, bob, books, GET", "g2, a, shelf"),
            ["orders:books", "orders:a", "orders:shelf"],
        ),
    ],
)
def test_everything_includes_paths_where_the_program_has_paths(
    text: str, rows: tuple[str, ...], found: list[str]
) -> None:
    assert sorted(opened(imported(text, *rows))) == sorted(found)


def test_the_domain_of_a_role_of_objects_is_no_object() -> None:
    matcher = GROUPED.replace("p.obj) ||", 'p.obj, "north") ||')
    rows = ("p, ann, *, read", "p, bob, papers, read", "g2, memo, papers, north", "g2, note, letters, south")
    done = imported(model(matcher, groups="g = _, _\ng2 = _, _, _"), *rows)
    assert sorted(opened(done)) == [f"orders:{name}" for name in ("letters", "memo", "note", "papers")]
    assert sorted(opened(done, "bob")) == ["orders:memo", "orders:papers"]


def test_the_proof_asks_about_whom_and_where_regular_expressions_name() -> None:
    fields = "sub, dom, obj, act"
    text = model(
        "regexMatch(r.sub, p.sub) && regexMatch(r.dom, p.dom) && r.obj == p.obj && r.act == p.act",
        request=fields,
        policy=fields,
        groups="",
    )
    cases = imported(text, "p, ^ann$, ^north$, stock, read").files["tests/orders.yaml"].decode()
    assert '- name: "org:north user:ann"' in cases
    assert "^" not in cases


@pytest.mark.parametrize(
    ("function", "pattern", "has_paths"),
    [
        *(("keyMatch", "/a/*", True), ("keyMatch", "a/*", False), ("keyMatch", "/a", True)),
        *(("regexMatch", "^/a/[0-9]$", True), ("regexMatch", "^a/[0-9]$", False), ("regexMatch", "/a/[0-9]$", True)),
    ],
)
def test_a_program_has_paths_if_a_pattern_is_about_them(function: str, pattern: str, has_paths: bool) -> None:
    everything, thing = ("*", "stock") if function == "keyMatch" else (".*", "^stock$")
    done = imported(
        path_model(function), f"p, ann, {everything}, GET", f"p, bob, {pattern}, GET", f"p, cy, {thing}, GET"
    )
    assert opened(done) == (["orders:/**"] if has_paths else []) + ["orders:stock"]


def test_the_options_name_objects() -> None:
    options = ImportOptions("orders", samples=30, objects=("stock7", "price7"))
    done = imported(path_model("keyMatch"), "p, ann, stock*, read", options=options)
    assert opened(done) == ["orders:stock7"]
    assert codes(done, "left-out") == set()


def test_the_domain_of_the_request_counts_only_where_roles_have_domains() -> None:
    """A role definition of two parameters ignores the third argument."""
    matcher = "g(r.sub, p.sub, r.dom) && r.obj == p.obj && r.act == p.act"
    done = imported(model(matcher, request="sub, dom, obj, act"), "p, staff, stock, read", "g, ann, staff")
    assert done.is_exact
    assert rows_of(done) == ["p, role:orders-staff, orders:stock, read, allow"]
