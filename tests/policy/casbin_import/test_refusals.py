"""What an import refuses, with its place: it never guesses, and never drops a deny."""

from __future__ import annotations

import pytest

from app.policy.casbin_import import casbin_rows
from app.policy.casbin_import.casbin_enforcer import ReferenceEnforcer
from app.policy.casbin_import.casbin_policy import CasbinFiles, read_casbin
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import run_import
from tests.policy.casbin_import.importing import ACL, BASE, RBAC, codes, faults, imported, model, rows_of
from tests.policy.small import TABLE
from tests.support.casbin_policies import ALLOW_AND_DENY, PRIORITY

WITH_EFFECT = "sub, obj, act, eft"
DENIES = model(ACL, groups="", policy=WITH_EFFECT, effect=ALLOW_AND_DENY)
PATHS = model(
    '(p.sub == "*" || r.sub == p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act',
    groups="",
    policy=WITH_EFFECT,
    effect=ALLOW_AND_DENY,
)
ROW = "p, ann, stock, read"


@pytest.mark.parametrize(
    ("matcher", "column", "part"),
    [
        ("r.sub == p.sub &&", 22, "ends here"),
        ("r.sub == p.sub r.obj", 20, "operator is missing"),
        ("custom(r.sub, p.sub)", 5, "not a function of Casbin"),
        ("keyMatch9(r.obj, p.obj)", 5, "not a function of Casbin"),
        ("r.sub == p.sub && r.owner == p.sub", 23, "does not define `r.owner`"),
        ("keyMatch(p.obj, r.obj)", 5, "in this order"),
        ("keyMatch(p.obj, p.act)", 5, "in this order"),
        ('keyMatch("/a", p.obj)', 5, "in this order"),
        ("keyMatch(r.obj, r.act)", 5, "in this order"),
        ("keyMatch(r.obj)", 5, "two arguments"),
        ("g(p.sub, r.sub)", 5, "in this order"),
        ("g(p.sub, p.obj)", 5, "in this order"),
        ("g(r.sub, r.obj)", 5, "in this order"),
        ("g(r.sub)", 5, "two arguments"),
        ("r.sub", 5, "not a test"),
        ("q.sub == p.sub", 5, "has no meaning"),
        ("r.sub == )", 14, "cannot be read here"),
        ("r == p.sub", 5, "has no meaning"),
        ("r.sub == p.sub == p.obj", 20, "two sides"),
        ("!r.sub == p.sub", 6, "`!` may only precede"),
        ("!g(r.sub, p.sub) == true", 22, "negates the whole comparison"),
        ("!(r.sub == p.sub && r.obj == p.obj)", 5, "one test only"),
        ('r.sub in ("ann")', 20, "write a list"),
        ("r.sub == 'a && b'", 14, "pycasbin rewrites"),
        ("r.sub == 'r.obj'", 14, "pycasbin rewrites"),
        ("r.sub =~ p.sub", 11, "cannot be read"),
        ("true", 5, "`true` has no meaning"),
        ("__import__('os')", 5, "not a function"),
        ("(" * 70 + "r.sub == p.sub" + ")" * 70, 0, "nested too deeply"),
        (" || ".join(["r.sub == p.sub"] * 400), 0, "more than 64 alternatives"),
        (" || ".join(["r.sub == p.sub"] * 600), 0, "characters"),
    ],
)
def test_a_matcher_that_cannot_be_read(matcher: str, column: int, part: str) -> None:
    (fault,) = faults(model(matcher), ROW)
    assert part in fault.message
    assert (fault.code, fault.file, fault.line) == ("matcher", "model.conf", 10)
    assert fault.column == column or not column


def test_the_place_of_a_fault_in_a_matcher_of_several_lines() -> None:
    (fault,) = faults(model("r.sub == p.sub && \\\n    g3(r.obj, p.obj)"), ROW)
    assert (fault.line, fault.column, fault.length) == (11, 5, len("g3(r.obj, p.obj)"))
    (fault,) = faults(model("r.sub == p.sub &&"), ROW)
    assert (fault.column, fault.length) == (22, 1)  # the end, which has no length


@pytest.mark.parametrize(
    ("text", "place", "part"),
    [
        (model().replace("[matchers]", "[matcher]"), (9, 2), "does not read the section"),
        (model().replace("m = ", "m2 = "), (10, 1), "second definition"),
        (model() + "m = r.sub == p.sub\n", (11, 5), "defined twice"),
        (model().replace("[policy_effect]\ne = some(where (p.eft == allow))\n", ""), (1, 1), "does not define `e`"),
        (model(effect="some(where (p.eft==allow))"), (8, 5), "not an effect"),
        (model(effect="subjectPriority(p.eft) || deny"), (8, 5), "not an effect"),
        (model(groups="g = _, _, (_, _)"), (6, 5), "not of the form"),
        (model(groups="g = _, x"), (6, 5), "not of the form"),
        (model(groups="g2 = _, _"), (6, 6), "without `g`"),
        (model("r.sub == p.sub", request="sub, act"), (1, 1), "no field for an object"),
        (model(request="sub, obj, obj, act"), (2, 10), "occurs twice"),
        (model(policy="sub, obj act"), (4, 10), "is not a name"),
        ("r = sub\n", (1, 1), "before the first section"),
        (model().replace("[matchers]", "[matchers"), (9, 1), "not `key = value`"),
        ("[request_definition]\nnothing\n", (2, 1), "not `key = value`"),
        ("x" * 200_000, (1, 1), "characters"),
        ("\ufeff" + model(), (1, 1), "byte order mark"),
        (model("r.sub == p.sub") + "# was:\rm = r.sub == p.sub && r.obj == p.obj\n", (11, 7), "begins a line there"),
    ],
)
def test_a_model_that_cannot_be_read(text: str, place: tuple[int, int], part: str) -> None:
    fault = faults(text, ROW)[0]
    assert part in fault.message
    assert (fault.code, fault.file, fault.line, fault.column) == ("casbin-model", "model.conf", *place)


@pytest.mark.parametrize(
    ("name", "hint"), [("matcher", "did you mean `matchers`?"), ("x", "the sections are [request")]
)
def test_a_section_that_casbin_does_not_read_has_a_hint(name: str, hint: str) -> None:
    assert hint in faults(model().replace("[matchers]", f"[{name}]"), ROW)[0].hint


@pytest.mark.parametrize(
    ("row", "column", "part"),
    [
        ('p, "ann", stock, read', 4, "quotes"),
        ("p, ann, stock", 1, "3 cells"),
        ("p, ann, stock, read, deny", 1, "3 cells"),
        ("P, ann, stock, read", 1, "ignores this row in silence"),
        ("p2, ann, stock, read", 1, "ignores this row in silence"),
        ("  q, ann, stock, read", 3, "ignores this row in silence"),
        ("g, ann, admin, north", 1, "2 cells"),
        ("p, , stock, read", 1, "a cell is empty"),
        ("g, ann, ", 1, "a cell is empty"),
        ("p, ann), stock, read", 7, "closes no bracket"),
        ("p, an\u200bn, stock, read", 6, "invisible character U+200B"),
        ("p, a\u00a0n, stock, read", 5, "invisible character U+00A0"),
        ("p, ann\x00, stock, read", 7, "invisible character U+0000"),
        (f"p, {'a' * 2000}, stock, read", 1, "more than 1000 characters"),
        ("\ufeffp, ann, stock, read", 1, "byte order mark"),
    ],
)
def test_a_row_that_casbin_would_ignore_or_read_differently(row: str, column: int, part: str) -> None:
    (fault,) = faults(model(), row)
    assert part in fault.message
    assert (fault.file, fault.line, fault.column) == ("policy.csv", 1, column)


def test_files_without_rows_and_with_too_many() -> None:
    (fault,) = faults(model(), "# p, ann, stock, read", "g, ann, staff")
    assert (fault.code, fault.file, fault.line, "no `p` rows" in fault.message) == ("casbin-row", "policy.csv", 1, True)
    assert len(faults(model(), *["q, ann"] * 150)) == casbin_rows.MAX_FAULTS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(casbin_rows, "MAX_ROWS", 2)
        assert imported(model(), ROW, ROW)
        (fault,) = faults(model(), ROW, ROW, ROW, ROW)
    assert (fault.code, fault.line, "more than 2 rows" in fault.message) == ("casbin-row", 3, True)


@pytest.mark.parametrize("effect", ["denny", "Deny", "deny # why", "", "allow;"])
def test_an_effect_that_casbin_would_ignore(effect: str) -> None:
    (fault,) = faults(DENIES, "p, ann, stock, read, allow", f"p, ann, stock, read, {effect}")
    assert (fault.line, "ignores this row in silence" in fault.message) == (2, True)


PRIORITIES = ["first", "-1", "+1", "1.5", "1_0", "\u00b2", "\u0663"]


@pytest.mark.parametrize("priority", PRIORITIES)
def test_a_priority_by_which_casbin_cannot_order_rows(priority: str) -> None:
    fields, row = "priority, sub, obj, act, eft", f"  p, {priority}, ann, stock, write, allow"
    (fault,) = faults(model(policy=fields, effect=PRIORITY), "p, 0, ann, stock, read, allow", row)
    assert (fault.code, fault.file, fault.line, fault.column) == ("casbin-row", "policy.csv", 2, 3)
    assert f"the priority `{priority}`" in fault.message


@pytest.mark.parametrize("priority", PRIORITIES)
def test_rows_that_pycasbin_cannot_order_under_another_effect_refuse_the_import(priority: str) -> None:
    """It orders rows by their priority under every effect, and fails where texts are among numbers."""
    rows = (f"p, {priority}, ann, stock, read", "p, 1, bob, stock, read")
    text = model(policy="priority, sub, obj, act")
    if priority == "\u0663":  # a digit, also for pycasbin
        assert imported(text, *rows).is_exact
        return
    (fault,) = faults(text, *rows)
    assert (fault.code, fault.file, fault.line, fault.column) == ("casbin-failure", "model.conf", 0, 0)
    assert "pycasbin fails at the rows" in fault.message


def test_priorities_that_are_texts_are_in_order_for_pycasbin() -> None:
    assert imported(model(policy="priority, sub, obj, act"), "p, low, ann, stock, read", "p, high, bob, a, b").is_exact


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ("p, Zoë, stock, read, deny", "cannot name the subject"),
        ("p, a b, stock, read, deny", "cannot name the subject"),
    ],
)
def test_a_deny_for_a_subject_without_a_name_refuses_if_something_is_open_to_all(row: str, part: str) -> None:
    text = model(
        '(p.sub == "*" || r.sub == p.sub) && r.obj == p.obj && r.act == p.act',
        groups="",
        policy=WITH_EFFECT,
        effect=ALLOW_AND_DENY,
    )
    (fault,) = faults(text, "p, *, stock, read, allow", row)
    assert (fault.code, fault.line, part in fault.message) == ("unstated-deny", 2, True)
    assert codes(imported(text, "p, ann, stock, read, allow", row), "no-effect") == {"idle-deny"}


def test_a_deny_in_a_domain_without_a_name_refuses_if_other_rows_are_open_to_all_domains() -> None:
    fields = "sub, dom, obj, act"
    text = model(
        'r.sub == p.sub && (p.dom == "*" || r.dom == p.dom) && r.obj == p.obj && r.act == p.act',
        request=fields,
        policy=f"{fields}, eft",
        groups="",
        effect=ALLOW_AND_DENY,
    )
    deny = "p, ann, a b, stock, read, deny"
    (fault,) = faults(text, "p, ann, *, stock, read, allow", deny)
    assert (fault.code, fault.line, "organization" in fault.message) == ("unstated-deny", 2, True)
    assert codes(imported(text, "p, ann, north, stock, read, allow", deny), "no-effect") == {"idle-deny"}


@pytest.mark.parametrize("pattern", ["/v1.0/orders", "/caf\u00e9", "/a//b", "/a%2Fb", "/a/(b|c)*", "/a/<b>"])
def test_a_deny_of_paths_without_a_name_refuses_if_paths_are_open(pattern: str) -> None:
    (fault,) = faults(PATHS, "p, ann, /*, GET, allow", f"p, ann, {pattern}, GET, deny")
    assert (fault.code, fault.line) == ("unstated-deny", 2)


@pytest.mark.parametrize(
    ("function", "pattern"),
    [
        ("keyMatch2", "/a+*b"),
        ("keyMatch3", "*"),
        ("regexMatch", "/a+*b"),
        ("keyMatch4", "/a+*b"),
        ("keyMatch4", "/(a|b)/{id}"),  # it counts the groups
        ("keyMatch5", "/a/**"),
    ],
)
def test_a_pattern_at_which_pycasbin_fails(function: str, pattern: str) -> None:
    text = model(f"r.sub == p.sub && {function}(r.obj, p.obj) && r.act == p.act", groups="")
    (fault,) = faults(text, "p, ann, /orders, GET", f"p, ann, {pattern}, GET")
    assert (fault.code, fault.file, fault.line, fault.column) == ("casbin-pattern", "policy.csv", 2, 1)


def test_a_request_at_which_pycasbin_fails() -> None:
    """A domain that the matcher reads as a number: the program fails, and so does the import."""
    casbin = CasbinFiles(
        "model.conf", model("g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act"), {"a.csv": f"{ROW}\n"}
    )
    policy = read_casbin(casbin)
    with pytest.raises(ImportRefused, match="pycasbin fails at the request"):
        ReferenceEnforcer(policy, casbin, {}).allows(("ann", "stock"))


def test_patterns_in_role_rows_need_a_word_of_the_author() -> None:
    text = model("g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act", groups="g = _, _\ng2 = _, _")
    rows = ("p, ann, books, GET", "g2, /books/:id, books")
    (fault,) = faults(text, *rows)
    assert (fault.code, fault.line, "--match g2=keyMatch2" in fault.hint) == ("matching", 2, True)
    assert rows_of(imported(text, *rows, options=ImportOptions("orders", matching={"g2": "none"})))


def test_patterns_of_subjects_cannot_be_imported() -> None:
    rows = ("p, admin, stock, read", "g, /staff/:id, admin")
    for group, function in (("g", "custom"), ("g2", "keyMatch2")):
        (fault,) = faults(model(), *rows, options=ImportOptions("orders", matching={group: function}))
        assert (fault.code, "is not a role definition" in fault.message) == ("matching", True)
    (fault,) = faults(model(), *rows, options=ImportOptions("orders", matching={"g": "keyMatch2"}))
    assert (fault.code, "cannot be imported" in fault.message) == ("matching", True)
    assert rows_of(imported(model(), *rows, options=ImportOptions("orders", matching={"g": "none"})))


def test_a_chain_of_roles_that_casbin_does_not_follow() -> None:
    links = [f"g, r{n}, r{n + 1}" for n in range(9)]
    assert imported(model(), "p, r9, stock, read", *links, "g, x, r1").is_exact
    (fault,) = faults(model(), "p, r9, stock, read", *links, "g, ann, r0")
    assert (fault.code, fault.file, fault.line, fault.column) == ("role-chain", "policy.csv", 11, 1)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Orders", "cannot be the name"),
        ("scope", "cannot be the name"),
        ("a/b", "cannot be the name"),
        ("", "cannot be"),
    ],
)
def test_a_service_that_cannot_have_the_name(name: str, part: str) -> None:
    (fault,) = faults(model(), ROW, options=ImportOptions(name))
    assert part in fault.message
    assert (fault.code, fault.file, fault.line, fault.column) == ("service-name", ".", 0, 0)


def test_a_service_that_exists() -> None:
    casbin = CasbinFiles("model.conf", model(), {"policy.csv": f"{ROW}\n"})
    options = ImportOptions("rows")  # the base has a file rows.csv
    with pytest.raises(ImportRefused) as refused:
        run_import(casbin, options, BASE, TABLE)
    (fault,) = refused.value.faults
    assert (fault.code, fault.line, fault.column, "already" in fault.message) == ("service-name", 0, 0, True)


@pytest.mark.parametrize("grant", ["anyone", "auth:jwt", "role:unknown", "env:live", "nonsense", "app:x"])
def test_a_grant_that_others_hold_cannot_be_a_subject(grant: str) -> None:
    (fault,) = faults(model(), ROW, options=ImportOptions("orders", subjects={"ann": grant}))
    assert (fault.code, fault.line, fault.column) == ("subject", 0, 0)


def test_nothing_is_written_if_nothing_is_left() -> None:
    found = faults(model(), "p, ann, /orders, read")
    assert (found[0].code, found[0].file, found[0].line, found[0].column) == ("nothing-left", "model.conf", 1, 1)
    assert any("no method is `read`" in fault.message for fault in found)


def test_more_kinds_of_what_is_left_out() -> None:
    text = model("r.sub == p.sub && regexMatch(r.obj, p.obj) && r.act == p.act", groups="")
    rows = ("p, ann, ^/orders/[0-9]+$, GET", "p, ann, ^/orders/12$, GET", "p, ann, ^/a(?=b)$, GET", "p, Zoë, ^/x$, GET")
    done = imported(text, *rows)
    assert codes(done, "left-out") == {"pattern", "object", "subject"}
    assert [row for row in rows_of(done) if "GET" in row] == ["p, user:ann, orders:/orders/12, GET, allow"]
    assert not done.is_exact


def test_a_last_slash_is_ignored_only_on_request() -> None:
    text = model("r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act", groups="")
    rows = ("p, ann, /orders/, GET", "p, ann, /items, GET")
    assert codes(imported(text, *rows), "left-out") == {"last-slash"}
    done = imported(text, *rows, options=ImportOptions("orders", ignores_last_slash=True))
    assert done.is_exact
    assert "p, user:ann, orders:/orders, GET, allow" in rows_of(done)


def test_rows_of_many_files_and_line_endings() -> None:
    files = {
        "b.csv": "p, ann, stock, read  \r\n\r\n# p, bob, stock, read\r\n",
        "a.csv": f"\t{RBAC and 'p, bob'}, price, read",
    }
    text = model().replace("\n", "\r\n")
    done = run_import(CasbinFiles("m.conf", text, files), ImportOptions("orders"), BASE, TABLE)
    assert rows_of(done) == ["p, user:ann, orders:stock, read, allow", "p, user:bob, orders:price, read, allow"]
    assert b"# a.csv:1" in done.files["orders.csv"]
