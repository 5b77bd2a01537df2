"""Rows are read as pycasbin reads them, within bounds, and large policies are compared by samples."""

from __future__ import annotations

import pytest
from casbin.model import Model
from casbin.persist import load_policy_line

from app.policy.casbin_import import verification
from app.policy.casbin_import.casbin_policy import CasbinFiles
from app.policy.casbin_import.casbin_rows import MAX_CELL, read_rows
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import run_import
from app.policy.casbin_import.model_file import read_model
from tests.policy.casbin_import.importing import ACL, BASE, codes, imported, model, rows_of
from tests.policy.small import TABLE

ROW = "p, ann, stock, read"


@pytest.mark.parametrize(
    "line",
    [
        "p, ann, f(a,b), read",
        "p, ann, [a,(b,c),d], read",
        "p, ann, (a)(b), read",
        "p, f(ann), g[a, b], read",
        "  p ,ann,stock ,\tread\t",
        "p,a nn,sto ck,read",
        "p, ann, stock#1, read",
        f"p, {'a' * MAX_CELL}, stock, read",
    ],
)
def test_the_cells_of_a_row_are_those_of_pycasbin(line: str) -> None:
    found = read_rows(read_model("model.conf", model()), {"policy.csv": line}).rules
    casbin = Model()
    casbin.load_model_from_text(model())
    load_policy_line(line.strip(), casbin)
    assert [list(row.cells) for row in found] == casbin["p"]["p"].policy


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("p, ann, (stock, read", 1),
        ("  p, ann, [stock, read", 3),
        ("  p, ann, st]ock, read", 13),
        (f"p, {'a' * (MAX_CELL + 1)}, stock, read", 1),
        ('  p, ann, st"ock, read', 13),
        ("\tp, ann, st\u200bock, read", 12),
        (" g, ann", 2),
        (" g, , admin", 2),
        (" p, ann, , read", 2),
    ],
)
def test_a_row_that_is_refused_has_its_place(line: str, column: int) -> None:
    with pytest.raises(ImportRefused) as refused:
        read_rows(read_model("model.conf", model()), {"policy.csv": f"\n{ROW}\n{line}"})
    assert [(each.code, each.file, each.line, each.column) for each in refused.value.faults] == [
        ("casbin-row", "policy.csv", 3, column)
    ]


def test_cases_are_limited_and_only_about_what_the_files_name() -> None:
    rows = [f"p, ann, stock{number}, read" for number in range(4)]
    files = CasbinFiles("model.conf", model(ACL, groups=""), {"policy.csv": "\n".join(rows)})
    for most, kept in ((5, 5), (1_000, 16)):  # two callers, four things, two actions
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(verification, "MAX_CASES", most)
            found = run_import(files, ImportOptions("orders", samples=200), BASE, TABLE).verification
        assert (len(found.cases), found.named, found.all_named, found.random) == (kept, 16, 16, 200)


def test_the_sample_of_a_large_policy_leaves_out_rules_that_no_caller_meets() -> None:
    """Without a domain in the request, no caller of the proof has a role of one domain alone."""
    matcher = 'g(r.sub, p.sub, "north") && r.obj == p.obj && r.act == p.act'
    links = [f"g, user{number}, admin, north" for number in range(20)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "MAX_ROWS_LOOKED_AT", 1)
        patch.setattr(verification, "LEAST", 8)
        done = imported(model(matcher, groups="g = _, _, _"), "p, admin, stock, read", "p, admin, price, read", *links)
    assert done.verification.named == 8


@pytest.mark.parametrize("has_effect", [True, False])
def test_several_tests_of_attributes_are_replaced_each_for_the_proof(has_effect: bool) -> None:
    matcher = f'{ACL} && r.sub.Age > 18 && r.obj.Size < 5 || {ACL} && p.obj == "price"'
    policy = "sub, obj, act, eft" if has_effect else "sub, obj, act"
    rows = [f"p, ann, {thing}, read{', allow' if has_effect else ''}" for thing in ("stock", "price")]
    done = imported(model(matcher, policy=policy), *rows, "g, ann, staff")
    assert codes(done, "left-out") == {"attributes"}
    assert rows_of(done) == ["p, user:ann, orders:price, read, allow"]


def test_a_long_name_of_a_role_is_cut() -> None:
    names = ("x" * 70, f"{'x' * 70}y", "a--b", "@", "@@")
    done = imported(model(), *(f"p, {name}, stock, read" for name in names), *(f"g, ann, {name}" for name in names))
    found = [row.split(", ")[1] for row in rows_of(done)]
    assert found == [
        f"role:orders-{'x' * 53}",
        f"role:orders-{'x' * 53}-2",
        "role:orders-a-b",
        "role:orders-x",
        "role:orders-x-2",
    ]
