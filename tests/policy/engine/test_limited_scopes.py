"""Scopes of a key that came from role rows are in force only while role rows give them to its owner."""

from __future__ import annotations

import pytest

from app.audit.record import decision_key
from app.identity.api_keys import KeyRecord
from app.identity.principal import Principal, is_fact, key_principal, user_principal
from app.policy.analysis.beyond_owner import BeyondOwner, beyond_owner
from app.policy.analysis.contextless import decide_without_context
from app.policy.analysis.reach import reach
from app.policy.analysis.usage import Use, usage
from app.policy.engine.limited_scopes import token_grants
from app.policy.engine.snapshot import Snapshot
from app.policy.language.endpoint import Endpoint
from tests.policy.small import snapshot

READ = "p, a:read, /x, GET, allow"
WRITE = "p, a:write, /x, POST, allow"
EDITOR = ("g, user:ann, role:editor", "g, role:editor, a:read", "g, role:editor, a:write")
GIVEN = snapshot(READ, WRITE, *EDITOR)
GONE = snapshot(READ, WRITE, *EDITOR[1:])
SCOPES = ("a:read", "a:write")


def issued(policy: Snapshot, *stated: str, subject: str = "ann", key_id: int = 7) -> Principal:
    """A key with both scopes, issued under a policy by a user whose token states these permissions."""
    owner = user_principal(subject, stated, {})
    assert policy.effective(owner.held).issuperset(SCOPES)
    return key_principal(
        subject, key_id, "live", SCOPES, token_grants=token_grants(owner.held, SCOPES, policy.policy.roles)
    )


def opened(policy: Snapshot, key: Principal) -> set[str]:
    decided = {action for action in ("GET", "POST") if policy.decide(key.held, "/x", action)}
    for action in ("GET", "POST"):
        assert bool(decide_without_context(policy, key.held, "/x", action)) is (action in decided)
    assert {each.action for each in reach(policy, key.held) if each.resource == "/x"} == decided
    assert policy.effective(key.held).issuperset(policy.in_force(key.held))
    return decided


@pytest.mark.parametrize(
    ("stated", "then"),
    [((), set()), (("a:read",), {"GET"}), (("a:write",), {"POST"}), (SCOPES, {"GET", "POST"})],
    ids=["all by roles", "one by the token", "the other by the token", "all by the token"],
)
def test_a_scope_that_came_by_roles_ends_with_them(stated: tuple[str, ...], then: set[str]) -> None:
    key = issued(GIVEN, *stated)
    assert opened(GIVEN, key) == {"GET", "POST"}
    assert opened(GONE, key) == then
    assert opened(GIVEN, key) == {"GET", "POST"}, "it returns with them"


@pytest.mark.parametrize(
    "rows",
    [
        ("g, user:ann, role:editor", "g, role:editor, a:read"),  # the role lost it
        ("g, user:bob, role:editor", *EDITOR[1:]),  # another user has the role now
        ("g, key:7, role:reader", "g, role:reader, b:read", *EDITOR[1:]),  # roles of the key are not roles of the owner
    ],
)
def test_a_scope_ends_with_any_row_that_gave_it(rows: tuple[str, ...]) -> None:
    assert "POST" not in opened(snapshot(READ, WRITE, *rows), issued(GIVEN))


@pytest.mark.parametrize("member", ["user:ann", "auth:jwt", "anyone"])
def test_any_row_of_the_owner_gives_a_scope(member: str) -> None:
    other = snapshot(READ, WRITE, f"g, {member}, role:clerk", "g, role:clerk, role:editor", *EDITOR[1:])
    assert opened(other, issued(GIVEN)) == {"GET", "POST"}
    assert opened(other, issued(other)) == {"GET", "POST"}
    assert opened(GONE, issued(other)) == set()


def test_a_grant_that_a_row_adds_to_a_token_permission_needs_both() -> None:
    policy = snapshot(READ, WRITE, "g, b:read, a:read", "g, b:read, a:write")
    key = issued(policy, "b:read", "c:read")
    assert opened(policy, key) == {"GET", "POST"}
    assert opened(snapshot(READ, WRITE, "g, b:read, a:read"), key) == {"GET"}
    assert "b:read" not in policy.effective(key.held), "the key never has what it was not issued with"
    assert not any("c:read" in grant for grant in key.held), "irrelevant grants are not stored"


def test_a_key_has_no_other_grants_of_its_owner() -> None:
    policy = snapshot("p, user:ann, /y, GET, allow", "p, role:editor, /x/{id}, GET, allow", READ, WRITE, *EDITOR)
    key = issued(policy)
    assert not policy.decide(key.held, "/y", "GET")
    assert not policy.decide(key.held, "/x/{id}", "GET")
    assert policy.effective(key.held) == {"anyone", "auth:api_key", "env:live", "key:7", *SCOPES}


def test_the_cache_of_one_owner_is_not_used_for_another() -> None:
    both = snapshot(READ, WRITE, *EDITOR, "g, user:bob, role:editor")
    keys = [issued(both, subject=subject, key_id=key_id) for key_id, subject in enumerate(("ann", "bob", "ann"), 1)]
    assert [opened(GIVEN, key) for key in keys] == [{"GET", "POST"}, set(), {"GET", "POST"}]
    same_id = [issued(both, subject=subject) for subject in ("ann", "bob")]
    assert [opened(GIVEN, key) for key in same_id] == [{"GET", "POST"}, set()]


def test_a_key_without_recorded_token_grants_keeps_its_scopes() -> None:
    assert opened(GONE, key_principal("ann", 7, "live", SCOPES)) == {"GET", "POST"}


@pytest.mark.parametrize("stated", ["scope::a:write", "owner::user:ann", "owner::a:write"])
def test_no_caller_can_state_limits_of_scopes(stated: str) -> None:
    assert is_fact(stated)
    claimed = [stated, "scope::a:write", "owner::user:ann"]
    assert not GIVEN.decide(user_principal("eve", claimed, {}).held, "/x", "POST")
    forged = key_principal("eve", 8, "live", claimed, token_grants=claimed)
    assert not GIVEN.decide(forged.held, "/x", "POST")
    assert not GIVEN.decide(key_principal("eve", 8, "live", ["a:write"], token_grants=claimed).held, "/x", "POST")


def test_usage_considers_scopes_in_force() -> None:
    uses = [Use("POST", "/x", WRITE, 3, 1)]
    key = issued(GIVEN, "a:read")
    now, then = usage(GIVEN, key.held, SCOPES, uses), usage(GONE, key.held, SCOPES, uses)
    assert ([use.scope for use in now.used], now.sufficient_scopes, now.no_longer_allowed) == (
        ["a:write"],
        ("a:write",),
        (),
    )
    assert ([use.scope for use in then.used], then.sufficient_scopes, then.no_longer_allowed) == (
        ["a:write"],
        (),
        (Endpoint("POST", "/x"),),
    )


def test_the_log_stores_what_a_replay_needs() -> None:
    key = issued(GIVEN)
    grants = decision_key("app", "/x", "GET", key, GIVEN.decide(key.held, "/x", "GET")).grants
    assert grants is not None
    assert grants.held_by("ann", 7) == key.held
    assert "ann" not in grants.text, "one set for all that have the same"
    other = issued(snapshot(READ, WRITE, "g, user:bob, role:editor", *EDITOR[1:]), subject="bob", key_id=9)
    assert decision_key("app", "/x", "GET", other, GIVEN.decide(other.held, "/x", "GET")).grants == grants


@pytest.mark.parametrize(
    ("held", "scopes", "remembered"),
    [
        ("a:read c:read", "b:read", "a:read"),
        ("a:read c:read", "a:read", "a:read"),
        ("c:read", "b:read", ""),
        ("a:read c:read role:one user:u1", "b:read a:write", "a:read c:read"),
        ("a:write b:read", "b:read", "b:read"),
        ("auth:jwt anyone role:one", "a:read", ""),
    ],
)
def test_a_key_stores_only_token_grants_that_give_its_scopes(held: str, scopes: str, remembered: str) -> None:
    roles = snapshot(
        "g, a:read, b:read", "g, c:read, a:write", "g, role:one, a:read", "g, user:u1, role:one"
    ).policy.roles
    assert token_grants(held.split(), scopes.split(), roles) == frozenset(remembered.split())


@pytest.mark.parametrize(
    ("token_grants", "last_held", "counting", "lost"),
    [
        ((), (), {GIVEN: (), GONE: ()}, {GIVEN: (), GONE: SCOPES}),
        (SCOPES, (), {GIVEN: (), GONE: SCOPES}, {GIVEN: (), GONE: ()}),
        (SCOPES, ("a:read",), {GIVEN: (), GONE: ("a:write",)}, {GIVEN: (), GONE: ()}),
        (("a:read",), ("a:read", "a:write"), {GIVEN: (), GONE: ()}, {GIVEN: (), GONE: ("a:write",)}),
    ],
)
def test_scopes_that_the_owner_lacks_are_still_in_force_or_not(
    token_grants: tuple[str, ...],
    last_held: tuple[str, ...],
    counting: dict[Snapshot, tuple[str, ...]],
    lost: dict[Snapshot, tuple[str, ...]],
) -> None:
    key = KeyRecord(7, "ann", "live", frozenset(SCOPES), b"", None, None, frozenset(token_grants))
    for policy in (GIVEN, GONE):
        assert beyond_owner(policy, key, last_held) == BeyondOwner(counting[policy], lost[policy])
