"""How a matcher is parsed: what binds, how deep it may be, and the places of faults."""

from __future__ import annotations

import pytest

from tests.policy.casbin_import.importing import ACL, codes, faults, imported, model, rows_of

ROW = "p, ann, stock, read"


@pytest.mark.parametrize(
    ("matcher", "column", "length", "part"),
    [
        ("~r.sub", 5, 1, "`~` cannot be read"),
        ("r.sub ~ p.sub", 11, 1, "`~` cannot be read"),
        ("r. == p.sub", 8, 2, "a name must follow"),
        ("r.", 7, 1, "a name must follow"),
        ('r."sub" == p.sub', 7, 5, "a name must follow"),
        ("r.5 == p.sub", 7, 1, "a name must follow"),
        ("q == p.sub", 5, 1, "`q` has no meaning"),
        ("q.a.b == p.sub", 5, 1, "`q` has no meaning"),
        ("r.sub == q.a.b.c", 14, 1, "`q` has no meaning"),
        ("g(r.sub p.sub)", 13, 1, "a `,` or `)` is missing"),
        ("g(r.sub, p.sub,)", 20, 1, "`)` cannot be read"),
        ("g(,r.sub)", 7, 1, "`,` cannot be read"),
        ("g(r.sub", 12, 1, "a `,` or `)` is missing"),
        ("(r.sub == p.sub", 20, 1, "a `)` is missing"),
        ("(r.sub == p.sub r.obj", 21, 1, "a `)` is missing"),
        ('r.sub in ("a", "b"', 23, 1, "a `,` or `)` is missing"),
        ('r.sub in ["a" "b"]', 19, 3, "a `,` or `]` is missing"),
        ('r.sub in ["a"', 18, 1, "a `,` or `]` is missing"),
        ('r.sub in ["a",]', 19, 1, "`]` cannot be read"),
        ("r.sub in (5)", 16, 1, "write a list"),
        ("!(r.sub) == p.sub", 6, 1, "`!` may only precede"),
        ("!r.sub", 6, 1, "`!` may only precede"),
        ("!", 6, 1, "an operand is missing"),
        ('!"a"', 6, 3, "`!` may only precede"),
        ("!g(r.sub, p.sub) in p.sub", 22, 2, "negates the whole comparison"),
        ("r.sub < p.sub < p.obj", 19, 1, "two sides"),
        ("r.sub == p.sub in p.obj", 20, 2, "two sides"),
        ("keyMatch(r.obj, p.obj, p.act)", 5, 29, "two arguments"),
        ("g(r.sub, p.sub, p.obj, p.act)", 5, 29, "two arguments, or three"),
        ("r.obj == keyMatch(r.sub, p.sub)", 14, 22, "cannot be compared"),
        ("r.sub == p.sub && r.sup == p.sub", 23, 5, "does not define `r.sup`"),
        ("r.sub < p.sup", 13, 5, "does not define `p.sup`"),
        ("r.sub in p.sup", 14, 5, "does not define `p.sup`"),
        ("r.sub == p.sub && p.obj", 23, 5, "not a test"),
        ("r.sub == p.sub && 5", 23, 1, "not a test"),
    ],
)
def test_a_fault_of_a_matcher_has_its_place(matcher: str, column: int, length: int, part: str) -> None:
    (fault,) = faults(model(matcher), ROW)
    assert part in fault.message
    assert (fault.code, fault.line, fault.column, fault.length) == ("matcher", 10, column, length)


def test_a_matcher_may_be_nested_29_times() -> None:
    def nested(depth: int) -> str:
        return f"{'(' * depth}{ACL}{')' * depth}"

    aside = " && ".join(["(r.sub == p.sub)"] * 40)
    for before in ("", f"{aside} && "):
        assert imported(model(f"{before}{nested(29)}", groups=""), ROW).is_exact
        (fault,) = faults(model(f"{before}{nested(30)}", groups=""), ROW)
        assert (fault.code, "nested too deeply" in fault.message) == ("matcher", True)


@pytest.mark.parametrize(
    ("most", "more"),
    [
        (" || ".join(["r.sub == p.sub"] * 64), " || ".join(["r.sub == p.sub"] * 65)),
        (
            " && ".join(["(r.sub == p.sub || r.obj == p.obj)"] * 6 + ["r.act == p.act"]),
            " && ".join(["(r.sub == p.sub || r.obj == p.obj)"] * 7),
        ),
        (f"r.sub in [{', '.join(['p.sub'] * 64)}]", f"r.sub in [{', '.join(['p.sub'] * 65)}]"),
    ],
)
def test_a_matcher_may_have_64_alternatives(most: str, more: str) -> None:
    assert rows_of(imported(model(most, groups=""), ROW))
    (fault,) = faults(model(more, groups=""), ROW)
    assert (fault.code, "more than 64 alternatives" in fault.message) == ("matcher", True)
    outer = more.startswith("(")  # parentheses around the first and the last test are no part of it
    assert (fault.column, fault.length) == (5 + outer, len(more) - 2 * outer)


@pytest.mark.parametrize(
    "matcher",
    [
        "r.sub == p.sub and r.obj == p.obj and r.act == p.act",
        "p.sub == r.sub && p.obj == r.obj && p.act == r.act",
        "r.sub==p.sub && r.obj==p.obj && r.act==p.act",
        "((r.sub == p.sub)) && (r.obj == p.obj && (r.act == p.act))",
        f'{ACL} or {ACL} && "a" == "b"',
        f'{ACL} && "a" != "b" || {ACL} && "a" != "a"',
        f'{ACL} && !("a" == "b")',
        f'{ACL} && !("a" != "a")',
        f"{ACL} && r.sub in [p.sub]",
        f'{ACL} && r.sub in [p.sub, "cy"]',
        "r.sub == p.sub && r.obj == p.obj && keyMatch(r.act, p.act)",
    ],
)
def test_matchers_that_are_written_in_other_ways(matcher: str) -> None:
    done = imported(model(matcher, groups=""), ROW, "p, bob, price, write")
    assert done.is_exact
    assert rows_of(done) == ["p, user:ann, orders:stock, read, allow", "p, user:bob, orders:price, write, allow"]


def test_and_binds_more_than_or() -> None:
    done = imported(model(f'r.sub == "cy" || {ACL} || r.sub == "dee" && r.obj == "price"', groups=""), ROW)
    assert done.is_exact
    assert set(rows_of(done)) == {
        "p, user:cy, orders:stock, read, allow",
        "p, user:cy, orders:price, read, allow",
        "p, user:ann, orders:stock, read, allow",
        "p, user:dee, orders:price, read, allow",
    }


@pytest.mark.parametrize("name", ["in", "and", "or", "(", "==", "<", "]", "5", ".", "a,b"])
def test_texts_that_look_like_signs_are_texts(name: str) -> None:
    done = imported(model(f'r.sub == p.sub && r.obj == "{name}" && r.act == p.act || {ACL}', groups=""), ROW)
    assert "p, user:ann, orders:stock, read, allow" in rows_of(done)
    if name in ("in", "and", "or", "5"):
        assert f"p, user:ann, orders:{name}, read, allow" in rows_of(done)


@pytest.mark.parametrize(
    "test",
    [
        *("r.sub == r.obj", "r.sub != p.sub", "!(r.sub in p.sub)", "5 < 6", "5 == 5", 'r.sub in ["ann", r.obj]'),
        *('r.sub in ["ann", 5]', 'p.sub in ["ann"]', '"ann" in ["ann"]', "r.sub in [p.sub.x]", "p.sub.x == r.sub"),
        *('eval(p.sub) == "x"', 'r.sub < "b"', '!(r.sub == "cy")', '!keyMatch(r.sub, "b*")', "!ipMatch(r.sub, p.sub)"),
        *('!(r.sub in ["cy"])', '!(p.sub in ["cy"])', "r.sub == p.sub.x", '"a" == p.sub.x', 'p.sub.x == "a"'),
        *('r.sub.Age == "x"', '"x" != r.sub.Age', "r.sub.Age == p.sub.x", "5 == r.sub", "p.sub != 5"),
    ],
)
def test_tests_that_no_row_can_state_allow_nothing(test: str) -> None:
    done = imported(model(f'{ACL} && {test} || {ACL} && p.obj == "price"', groups=""), ROW, "p, ann, price, read")
    assert codes(done, "left-out") == {"attributes"}
    assert rows_of(done) == ["p, user:ann, orders:price, read, allow"]
