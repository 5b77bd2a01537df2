"""Hints for a role, user or fact with a missing or misspelled prefix, or with capitals."""

from __future__ import annotations

import pytest

from app.policy.language.fault import PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.small import files

RULED = ("g, user:ann, role:editor", "g, user:ann, role:admin")


def hint(*rows: str) -> str:
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes(files(*rows)))
    assert {fault.code for fault in refused.value.faults} == {"unknown-grant"}
    return refused.value.faults[0].hint


@pytest.mark.parametrize(
    ("row", "meant"),
    [
        ("g, user:bob, role:Editor", "role:editor"),
        ("g, role:Admin, a:read", "role:admin"),
        ("g, ROLE:ADMIN, a:read", "role:admin"),
        ("g, user:bob, Role:editor", "role:editor"),
        ("g, user:bob, roles:editor", "role:editor"),
        ("g, user:bob, rol:Editor", "role:editor"),
        ("g, user:bob, editor", "role:editor"),
        ("g, user:bob, Editor", "role:editor"),
        ("g, User:Bob, role:editor", "user:Bob"),
        ("g, users:bob, role:editor", "user:bob"),
        ("g, Key:7, role:editor", "key:7"),
        ("p, role:Editor, /x, GET, allow", "role:editor"),
        ("p, Auth:JWT, /x, GET, allow", "auth:jwt"),
        ("p, auths:jwt, /x, GET, allow", "auth:jwt"),
        ("p, A:READ, /x, GET, allow", "a:read"),
        ("g, user:bob, role:Owner", "role:owner"),
    ],
)
def test_the_nearest_fact_is_named(row: str, meant: str) -> None:
    assert hint(row, *RULED) == f"did you mean `{meant}`?"
    assert hint(*RULED, row) == f"did you mean `{meant}`?"


def test_a_bare_name_may_be_a_user_or_a_role() -> None:
    assert hint("g, bob, role:editor", *RULED) == "did you mean `user:bob` or `role:bob`?"
    assert hint("g, auth0|5f7c, role:editor") == "did you mean `user:auth0|5f7c`?"


def test_a_word_without_a_near_match_has_no_hint() -> None:
    for grant in ("zebra:stripes", "read", "*"):
        assert "did you mean `" not in hint(f"g, user:bob, {grant}") or grant == "read"


@pytest.mark.parametrize("grant", ["a:rad", "a:reads", "b:rea"])
def test_a_new_permission_may_be_near_to_a_known_one(grant: str) -> None:
    near = grant[:2] + "read"
    for row in (f"p, {grant}, /x, GET, allow", f"g, user:bob, {grant}"):
        assert hint(row) == f"did you mean `{near}`? If not, add it to permissions.toml"
