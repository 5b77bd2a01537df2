"""Where the first row decides: what an earlier allow takes out of a deny."""

from __future__ import annotations

import pytest

from tests.policy.casbin_import.importing import codes, imported, model, rows_of, snapshot
from tests.support.casbin_policies import PRIORITY

TEXT = model(
    '(p.sub == "*" || r.sub == p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act',
    groups="",
    policy="sub, obj, act, eft",
    effect=PRIORITY,
)
BOB = "p, bob, /a/b, GET, allow"


@pytest.mark.parametrize(
    ("allow", "deny", "is_wider"),
    [
        ("p, ann, /a/b, GET, allow", "p, *, /a/b, GET, deny", False),
        ("p, ann, /a/:id, GET, allow", "p, *, /a/b, GET, deny", False),
        ("p, ann, /a/*, GET, allow", "p, *, /a/b, GET, deny", False),
        ("p, ann, /a/b, GET, allow", "p, *, /a/:id, GET, deny", True),
        ("p, ann, /a/b, PUT, allow", "p, *, /a/:id, GET, deny", False),
        ("p, ann, /c/b, GET, allow", "p, *, /a/:id, GET, deny", False),
        ("p, ann, /a/b/*, GET, allow", "p, *, /a/:id, GET, deny", False),
        ("p, ann, a/b, read, allow", "p, *, a/b, read, deny", False),
        ("p, ann, a/c, read, allow", "p, *, a/b, read, deny", False),
    ],
)
def test_a_deny_behind_an_allow(allow: str, deny: str, is_wider: bool) -> None:
    last = "p, cy, a/b, read, allow"
    done = imported(TEXT, allow, deny, BOB, last)
    assert ("wider-deny" in {note.kind for note in done.notes if note.code == "order"}) is is_wider
    found = snapshot(done)
    path, action = ("orders:a/b", "read") if "read" in deny else ("orders:/a/b", "GET")
    if path == "orders:/a/b":
        assert not found.decide(frozenset({"user:bob", "auth:jwt"}), path, action)
    is_excepted = "in subject.permissions" in next(row for row in rows_of(done) if "deny" in row and "HEAD" not in row)
    shared = allow.split(", ")[2:4] == deny.split(", ")[2:4] or "/a/:id, GET, allow" in allow or "/a/*, GET" in allow
    assert is_excepted is (shared and not is_wider)


def test_an_allow_behind_a_deny_takes_nothing_out_of_it() -> None:
    done = imported(TEXT, "p, ann, /a/b, GET, deny", "p, ann, /a/b, GET, allow", BOB)
    assert "p, user:ann, orders:/a/b, GET, deny" in rows_of(done)
    assert done.is_exact


@pytest.mark.parametrize("first", ["p, *, /a/b, GET, allow", "p, ann, /a/b, GET, allow"])
def test_a_deny_of_whom_an_earlier_row_allows_has_no_effect(first: str) -> None:
    done = imported(TEXT, first, "p, ann, /a/b, GET, deny", BOB)
    assert codes(done, "no-effect") == {"order"}
    assert not [row for row in rows_of(done) if "deny" in row and "HEAD" not in row]
    assert done.is_exact
