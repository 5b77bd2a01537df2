"""Domains are organizations: those that rows, role rows and patterns name, and those that cannot be named."""

from __future__ import annotations

import pytest

from tests.policy.casbin_import.importing import faults, imported, model, rows_of, snapshot
from tests.support.casbin_policies import ALLOW_AND_DENY

FIELDS = "sub, dom, obj, act"
THING = "r.obj == p.obj && r.act == p.act"
ROLES = f"g(r.sub, p.sub, r.dom) && {THING}"


def left_out(notes: object) -> object:
    return notes


@pytest.mark.parametrize(
    ("function", "pattern", "names", "domains"),
    [
        ("keyMatch", "n*", ("north", "south"), ["north"]),
        ("keyMatch", "n*", ("north", "n2", "south"), ["north", "n2"]),
        ("keyMatch2", "n:x", ("north", "n2", "south"), ["north", "n2"]),
        ("regexMatch", "n", ("^north$", "^south$"), ["north"]),
        ("keyMatch2", "n.1", ("n.1", "n21"), ["n.1"]),
    ],
)
def test_a_pattern_of_domains_allows_those_that_other_rows_name(
    function: str, pattern: str, names: tuple[str, ...], domains: list[str]
) -> None:
    text = model(f"r.sub == p.sub && {function}(r.dom, p.dom) && {THING}", request=FIELDS, policy=FIELDS, groups="")
    done = imported(text, f"p, ann, {pattern}, stock, read", *(f"p, bob, {name}, price, read" for name in names))
    found = [row.split(", ")[1] for row in rows_of(done) if "stock" in row]
    assert found == [f"org:{domain} user:ann" for domain in domains]
    notes = [note for note in done.notes if note.line == 1 and note.kind == "left-out"]
    assert [(note.code, "domains that the files do not name" in note.message) for note in notes] == [("subject", True)]


def test_a_pattern_of_all_domains_needs_no_organization() -> None:
    text = model(f"r.sub == p.sub && keyMatch(r.dom, p.dom) && {THING}", request=FIELDS, policy=FIELDS, groups="")
    done = imported(text, "p, ann, *, stock, read", "p, ann, north, price, read")
    assert done.is_exact
    assert rows_of(done) == [
        "p, user:ann, orders:stock, read, allow",
        "p, org:north user:ann, orders:price, read, allow",
    ]


def test_two_tests_of_the_domain_have_to_be_met() -> None:
    fields = "sub, dom, area, obj, act"
    text = model(
        f"r.sub == p.sub && keyMatch(r.dom, p.dom) && keyMatch(r.dom, p.area) && {THING}",
        request=FIELDS,
        policy=fields,
        groups="",
    )
    rows = ("p, ann, north, n*, stock, read", "p, ann, n*, north, price, read", "p, ann, north, south, plan, read")
    done = imported(text, *rows, "p, ann, n*, *th, file, read")
    assert [row.split(", ")[1:3] for row in rows_of(done)] == [
        ["org:north user:ann", "orders:stock"],
        ["org:north user:ann", "orders:price"],
        ["org:north user:ann", "orders:file"],
    ]


@pytest.mark.parametrize("domain", ["a b", "north,", "*"])
def test_a_role_in_a_domain_that_is_no_organization(domain: str) -> None:
    """Its holders cannot be named: an allow is left out, and a deny refuses the import if anything is open to all."""
    domain = domain.removesuffix(",")
    link = f"g, ann, admin, {domain}" if domain != "*" else "g, ann, admin, a#b"
    text = model(ROLES, request=FIELDS, policy="sub, obj, act", groups="g = _, _, _")
    boss = ("p, boss, price, read", "g, bob, boss, north")
    done = imported(text, "p, admin, stock, read", link, *boss)
    is_named = domain == "north"
    notes = [note for note in done.notes if note.kind == "left-out"]
    assert [(note.code, note.line) for note in notes] == ([] if is_named else [("subject", 1)])
    assert all("cannot be the id of an organization" in note.message for note in notes)
    text = model(
        f'(p.sub == "*" || g(r.sub, p.sub, r.dom)) && {THING}',
        request=FIELDS,
        policy="sub, obj, act, eft",
        groups="g = _, _, _",
        effect=ALLOW_AND_DENY,
    )
    rows = ("p, *, stock, read, allow", "p, admin, stock, read, deny", link)
    if is_named:
        assert imported(text, *rows).is_exact
    else:
        (fault,) = faults(text, *rows)
        assert (fault.code, fault.line, "organization" in fault.message) == ("unstated-deny", 2, True)


def test_a_role_in_domains_of_which_one_is_no_organization() -> None:
    text = model(ROLES, request=FIELDS, policy="sub, obj, act", groups="g = _, _, _")
    done = imported(text, "p, admin, stock, read", "g, ann, admin, a b", "g, bob, admin, north")
    assert rows_of(done) == ["p, org:north role:orders-north-admin, orders:stock, read, allow"]
    assert [(note.code, note.line) for note in done.notes if note.kind == "left-out"] == [("subject", 1)]


def test_a_user_who_is_named_like_a_role_of_another_domain_has_nothing_of_it() -> None:
    text = model(f"{ROLES} && r.dom == p.dom", request=FIELDS, policy=FIELDS, groups="g = _, _, _")
    rows = (
        "p, admin, north, stock, read",
        "p, admin, south, price, read",
        "g, ann, admin, north",
        "g, admin, chief, south",
    )
    done = imported(text, *rows)
    found = snapshot(done)
    assert found.decide(frozenset({"user:ann", "org:north"}), "orders:stock", "read")
    assert not found.decide(frozenset({"user:admin", "org:south"}), "orders:price", "read")
    assert [row for row in rows_of(done) if "price" in row] == []
