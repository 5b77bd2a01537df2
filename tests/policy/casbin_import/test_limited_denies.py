"""Denies whose conditions or combinations grow with the rows: exact up to a limit, and never lost beyond it."""

from __future__ import annotations

import pytest

from app.policy.casbin_import import priorities, subject_needs
from tests.policy.casbin_import.importing import codes, faults, imported, model, rows_of
from tests.support.casbin_policies import ALLOW_AND_DENY, PRIORITY

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
