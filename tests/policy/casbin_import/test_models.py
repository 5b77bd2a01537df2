"""How a model is read: places of faults over several lines, role definitions, and what names a service or a subject."""

from __future__ import annotations

import pytest

from app.policy.casbin_import.casbin_policy import CasbinFiles
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import run_import
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.casbin_import.importing import ACL, codes, faults, imported, model
from tests.policy.small import TABLE, files

ROW = "p, ann, stock, read"
MATCHER = "m = r.sub == p.sub && \\\n    r.obj == p.obj && \\\n  r.act == p.act\n"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("r.sub", "q.sub", (1, 5)),
        ("p.sub &&", "q.sub &&", (1, 14)),
        ("    r.obj", "    q.obj", (2, 5)),
        ("p.obj", "q.obj", (2, 14)),
        ("  r.act", "  q.act", (3, 3)),
        ("r.act ==", "q.act ==", (3, 3)),
        ("p.act", "q.act", (3, 12)),
        ("p.act", "", (3, 11)),
        ("m = r.sub", "m =   q.sub", (1, 7)),
        ("m = r.sub", "m = \\\nq.sub", (2, 1)),
        ("m = r.sub", "   m = q.sub", (1, 8)),
    ],
)
def test_a_fault_of_a_matcher_of_several_lines_has_its_place(old: str, new: str, place: tuple[int, int]) -> None:
    assert old in MATCHER
    text = model(groups="").replace("m = " + model(groups="").rpartition("m = ")[2], "")
    before = text.count("\n")
    (fault,) = faults(text + MATCHER.replace(old, new, 1), ROW)
    assert (fault.line - before, fault.column) == place
    assert fault.text == (MATCHER.replace(old, new, 1)).split("\n")[place[0] - 1]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("r = sub, obj, act", "r = sub, \\\n  obj, a-t", (3, 8)),
        ("r = sub, obj, act", "  r = sub, obj, obj", (2, 12)),
        ("p = sub, obj, act", "p = sub, \\\n obj, , act", (5, 7)),
        ("e = some(where (p.eft == allow))", "e = \\\n   nothing", (9, 4)),
        ("e = some(where (p.eft == allow))", "  e =  nothing", (8, 8)),
        ("g = _, _", "  g = _", (6, 7)),
        ("g = _, _", "g = _, _, _, _", (6, 5)),
        ("g = _, _", "g = _, _\n g3 = _, _", (7, 7)),
        ("g = _, _", "g = _, _\ng2 = _, _\n  g4 = _, _", (8, 8)),
        ("g = _, _", "g = _, _\ng99 = _, _", (7, 7)),
        ("g = _, _", "g = _, _\n  g100 = _, _", (7, 3)),
        ("g = _, _", "g = _, _\n  g1 = _, _", (7, 3)),
        ("g = _, _", "g = _, _\n  h = _, _", (7, 3)),
        ("g = _, _", "g = _, _\ng = _, _, _", (7, 5)),
        ("[matchers]", " [mtchers]", (9, 3)),
        ("[matchers]", "  matchers", (9, 3)),
        ("[role_definition]", "", (6, 1)),
        ("m = ", "m2 = ", (10, 1)),
        ("m = ", "  m2 = ", (10, 3)),
        ("m = ", "\rm = ", (10, 1)),
        ("m = ", " \rm = ", (10, 2)),
    ],
)
def test_a_fault_of_a_definition_has_its_place(old: str, new: str, place: tuple[int, int]) -> None:
    text = model()
    assert text.count(old) == 1
    fault = faults(text.replace(old, new), ROW)[0]
    assert (fault.code, fault.line, fault.column) == ("casbin-model", *place), fault.message


def test_a_matcher_has_at_most_8000_characters() -> None:
    matcher = ACL.replace(" && ", f"{' ' * (8_000 - len(ACL))} && ", 1)
    assert imported(model(matcher, groups=""), ROW).is_exact
    (fault,) = faults(model(matcher.replace("&&", " &&", 1), groups=""), ROW)
    assert (fault.code, fault.line, fault.column, "8000 characters" in fault.message) == ("matcher", 8, 5, True)


def test_a_definition_may_have_a_comment_behind_it_and_spaces_around_it() -> None:
    text = model(ACL, groups="").replace("m = ", "m=  ").replace("e = ", "e   =")
    text = text.replace("\n[matchers]", "  # as before\n[matchers]").replace("p.act\n", "p.act # the same\n")
    assert imported(text, ROW).is_exact


def test_role_definitions_may_be_in_any_order_and_up_to_g99() -> None:
    names = [f"g{number}" for number in range(99, 1, -1)]
    done = imported(model(groups="\n".join(f"{name} = _, _" for name in (*names, "g"))), ROW, "g, ann, staff")
    assert codes(done, "left-out") == set()


@pytest.mark.parametrize(
    "added",
    [
        ("orders.csv", "# no rows\n# end\n"),
        ("orders_roles.csv", "# no rows\n# end\n"),
        ("tests/orders.yaml", "cases:\n  - as: auth:jwt\n    deny: [GET /x]\n# end\n"),
        ("more.csv", "p, a:read, orders:stock, read, allow\n# end\n"),
        ("more.csv", "p, a:read, orders, read, allow\n# end\n"),
        (
            "upstreams/orders.openapi.json",
            '{"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "servers": [{"url": "/"}], "paths": '
            '{"/x": {"get": {"responses": {}}}}}',
        ),
    ],
)
def test_a_name_that_the_policy_has_already(added: tuple[str, str]) -> None:
    casbin = CasbinFiles("model.conf", model(), {"policy.csv": f"{ROW}\n"})
    base = files("p, a:read, /**, GET|POST, allow")
    name, text = added
    if "openapi" in name:
        base = files("p, a:read, /**, GET|POST, allow", "p, anyone, orders:/**, GET|HEAD, deny")
    taken = parse(from_bytes({**base, name: text.encode()}))
    with pytest.raises(ImportRefused, match="already") as refused:
        run_import(casbin, ImportOptions("orders", samples=0), taken, TABLE)
    assert [(each.code, each.file) for each in refused.value.faults] == [("service-name", ".")]
    assert run_import(casbin, ImportOptions("stock", samples=0), taken, TABLE)


def test_each_grant_is_the_subject_of_one_name() -> None:
    text = model(ACL, groups="")
    one, two = {"ann": "user:zoe"}, {"ann": "user:zoe", "bob": "user:zoe"}
    assert imported(text, ROW, options=ImportOptions("orders", samples=30, subjects=one)).is_exact
    found = faults(text, ROW, options=ImportOptions("orders", subjects=two))
    assert [(each.code, "once each" in each.hint) for each in found] == [("subject", True)]


def test_the_first_faults_say_what_was_left_out() -> None:
    rows = [f"p, ann, /orders{number}, read" for number in range(30)]
    found = faults(model(ACL, groups=""), *rows)
    assert [each.code for each in found] == ["nothing-left", *["left-out"] * 20]
    assert [(each.file, each.line, each.column) for each in found[1:]] == [
        ("policy.csv", number, 1) for number in range(1, 21)
    ]


@pytest.mark.parametrize("pattern", ["/a+*b", "/a/**", "/a/(b)"])
def test_a_role_row_with_a_pattern_that_is_none(pattern: str) -> None:
    text = model("r.sub == p.sub && g2(r.obj, p.obj) && r.act == p.act", groups="g = _, _\ng2 = _, _")
    options = ImportOptions("orders", depth=1, samples=30, matching={"g2": "keyMatch4"})
    rows = ("p, ann, books, GET", "g2, /x, books", f"g2, {pattern}, books", "g2, thing, books")
    (fault,) = faults(text, *rows, options=options)
    assert (fault.code, fault.file, fault.line, fault.column) == ("casbin-pattern", "policy.csv", 3, 1)
    assert "ignores it" in fault.message
