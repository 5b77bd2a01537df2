"""Denies of roles that rows cannot state in full become wider or refuse the import, and are never lost."""

from __future__ import annotations

import pytest

from app.policy.casbin_import import priorities, subject_needs
from app.policy.casbin_import.import_options import ImportOptions
from tests.policy.casbin_import.importing import codes, faults, imported, model, rows_of, snapshot
from tests.support.casbin_policies import ALLOW_AND_DENY, DENY_OVERRIDE, PRIORITY

PRIORITY_OF_ROLES = model(policy="sub, obj, act, eft", effect=PRIORITY)


@pytest.mark.parametrize("name", ["ann", "o'neil", "a\\b", "a\\'b"])
def test_exceptions_of_a_deny_name_their_callers_exactly(name: str) -> None:
    rows = ("p, staff, stock, read, deny", "p, open, stock, read, allow", "g, bob, staff", "g, bob, open")
    done = imported(PRIORITY_OF_ROLES, f"p, {name}, stock, read, allow", *rows, f"g, {name}, staff")
    assert done.is_exact
    (row,) = (row for row in rows_of(done) if row.endswith('subject.permissions)"'))
    quoted = name.replace("\\", "\\\\").replace("'", "\\'")
    assert row.endswith(f""", read, deny, "!('user:{quoted}' in subject.permissions)\"""")


def test_too_many_exceptions_of_a_deny_are_left_out() -> None:
    rows = ("p, ann, stock, read, allow", "p, staff, stock, read, deny", "g, ann, staff", "p, bob, price, read, allow")
    length = len("!('user:ann' in subject.permissions)")
    for most, found in ((length, set()), (length - 1, {"order"})):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(priorities, "MAX_CONDITION", most)
            assert codes(imported(PRIORITY_OF_ROLES, *rows), "wider-deny") == found


def test_a_deny_of_too_many_combinations_of_roles_refuses_the_import() -> None:
    text = model(
        '(p.sub == "*" || g(r.sub, p.sub, r.dom)) && r.obj == p.obj && r.act == p.act',
        request="sub, dom, obj, act",
        policy="sub, obj, act, eft",
        groups="g = _, _, _",
        effect=ALLOW_AND_DENY,
    )
    links = [f"g, ann, staff, d{number}" for number in range(3)]
    rows = ("p, *, stock, read, allow", "p, staff, stock, read, deny", *links)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subject_needs, "MAX_NEEDS", 3)
        assert not codes(imported(text, *rows), "wider-deny")
        patch.setattr(subject_needs, "MAX_NEEDS", 2)
        (fault,) = faults(text, *rows)
    assert (fault.code, fault.line, "more than 2 combinations" in fault.message) == ("unstated-deny", 2, True)


def open_to_all(effect: str = ALLOW_AND_DENY, domain: str = "", groups: str = "g = _, _") -> str:
    """A model whose rows may be about every subject."""
    return model(
        f'(p.sub == "*" || g(r.sub, p.sub{domain})) && r.obj == p.obj && r.act == p.act',
        policy="sub, obj, act, eft",
        groups=groups,
        effect=effect,
    )


DENY, OPEN, CLOSED = "p, banned, stock, read, deny", "p, *, stock, read, allow", "p, ann, stock, read, allow"


@pytest.mark.parametrize("effect", [ALLOW_AND_DENY, DENY_OVERRIDE, PRIORITY])
@pytest.mark.parametrize(
    "links",
    [
        ("g, Zo\u00eb, banned",),
        ("g, bob, banned", "g, a b, gang", "g, gang, banned"),
        ("g, bob, Bad Guys", "g, Bad Guys, banned"),  # for Casbin also the name of a user
    ],
)
def test_a_deny_of_a_role_whose_member_has_no_name_refuses_if_something_is_open_to_all(
    effect: str, links: tuple[str, ...]
) -> None:
    (fault,) = faults(open_to_all(effect), DENY, OPEN, *links)
    assert (fault.code, fault.file, fault.line, fault.column) == ("unstated-deny", "policy.csv", 1, 1)
    if effect != DENY_OVERRIDE:  # which opens everything
        assert "idle-deny" in codes(imported(open_to_all(effect), DENY, CLOSED, *links), "no-effect")


def test_a_member_without_a_name_that_stands_for_a_user_is_denied() -> None:
    options = ImportOptions("orders", samples=30, subjects={"Zo\u00eb": "user:zoe"})
    found = snapshot(imported(open_to_all(), DENY, OPEN, "g, Zo\u00eb, banned", options=options))
    assert not found.decide(frozenset({"user:zoe", "auth:jwt"}), "orders:stock", "read")
    assert found.decide(frozenset({"user:ann", "auth:jwt"}), "orders:stock", "read")


def test_members_without_a_name_in_other_domains_are_not_denied() -> None:
    text = open_to_all(domain=', "north"', groups="g = _, _, _")
    rows = (DENY, OPEN, "g, bob, banned, north")
    assert not codes(imported(text, *rows, "g, Zo\u00eb, banned, south"), "wider-deny")
    assert [fault.code for fault in faults(text, *rows, "g, Zo\u00eb, banned, north")] == ["unstated-deny"]


def test_patterns_of_subjects_allow_the_users_whom_the_files_name_and_deny_everyone() -> None:
    text = model(
        "keyMatch(r.sub, p.sub) && r.obj == p.obj && r.act == p.act", policy="sub, obj, act, eft", effect=ALLOW_AND_DENY
    )
    rows = ("p, team-*, stock, read, allow", "p, team-a, price, read, allow", "p, bob, price, read, allow")
    done = imported(text, *rows)
    assert [row for row in rows_of(done) if "stock" in row] == ["p, user:team-a, orders:stock, read, allow"]
    assert codes(done, "left-out") == {"subject"}
    done = imported(text, *rows, "p, t*, stock, read, deny")
    assert codes(done, "wider-deny") == {"subject"}
    assert "p, anyone, orders:stock, read, deny" in rows_of(done)


def test_a_regular_expression_without_an_end_is_not_one_subject() -> None:
    """It also matches longer names."""
    text = model(
        "(regexMatch(r.sub, p.sub) && r.obj == p.obj) && r.act == p.act",
        policy="sub, obj, act, eft",
        effect=ALLOW_AND_DENY,
    )
    done = imported(text, "p, ^bob$, stock, read, allow", "p, ann, stock, read, deny")
    assert codes(done, "wider-deny") == {"subject"}
    assert "p, anyone, orders:stock, read, deny" in rows_of(done)


@pytest.mark.parametrize(("subject", "found"), [("ann", set()), ("a.b", {"subject"})])  # for Casbin the dot is any mark
def test_a_pattern_of_a_subject_is_exact_without_dots(subject: str, found: set[str]) -> None:
    text = model(
        "keyMatch2(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
        policy="sub, obj, act, eft",
        effect=ALLOW_AND_DENY,
    )
    assert codes(imported(text, f"p, {subject}, stock, read, allow"), "left-out") == found
    rows = ("p, bob, stock, read, allow", f"p, {subject}, stock, read, deny")
    assert codes(imported(text, *rows), "wider-deny") == set(found)
