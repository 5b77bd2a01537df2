"""Who could no longer publish a policy, in words."""

from __future__ import annotations

import pytest

from app.policy.analysis.access_change import AccessChange, AccessDiff, Combination, Kind
from app.policy.analysis.callers import AppPattern
from app.policy.analysis.publishers import FewerPublishers, lost_publishers, root_permissions, unproven_facts
from app.policy.engine.lockout import PUBLISH
from app.policy.routing.routes import RouteTable
from tests.policy.small import snapshot


def change(
    grant: str, kind: Kind = "loss", *, resource: str = PUBLISH.template, action: str = PUBLISH.method
) -> AccessChange:
    return AccessChange(kind, resource, (action,), Combination(((grant,),)), (), ())


@pytest.mark.parametrize(
    ("lost", "unproven", "text"),
    [
        ("", None, "fewer callers could publish a policy: too many rows to list them"),
        ("a", None, "fewer callers could publish a policy: LOSS a"),
        ("abc", None, "fewer callers could publish a policy: LOSS a; LOSS b; LOSS c"),
        ("abcd", None, "fewer callers could publish a policy: LOSS a; LOSS b; LOSS c and 1 more"),
        ("a", (), "no caller could publish a policy"),
        (
            "a",
            ("key:7", "user:u"),
            "no known caller could publish a policy: only key:7, user:u, never seen in the decision log",
        ),
        (
            "a",
            ("key:7", "key:8", "key:9", "user:u", "user:v"),
            "no known caller could publish a policy: only key:7, key:8, key:9 and 2 more, "
            "never seen in the decision log",
        ),
    ],
)
def test_a_loss_in_words(lost: str, unproven: tuple[str, ...] | None, text: str) -> None:
    found = FewerPublishers(tuple(map(change, lost)), unproven)
    loss = f"{PUBLISH.method} {PUBLISH.template}  for holders of"
    assert found.summary == text.replace("LOSS", loss)
    assert found.is_lockout == (unproven is not None)


def test_only_losses_of_the_endpoint_that_publishes_count() -> None:
    method = PUBLISH.method
    app = AccessChange(
        "loss", PUBLISH.template, (method,), Combination(), (), (), apps=(AppPattern(frozenset(), frozenset()),)
    )
    others = (change("b", "gain"), change("c", resource="/x"), change("d", action="TRACE"), app)
    assert lost_publishers(AccessDiff((change("a"), *others))) == (change("a"),)
    assert lost_publishers(AccessDiff(others)) is None
    assert lost_publishers(AccessDiff((), ((PUBLISH.template, method),))) == ()
    assert lost_publishers(AccessDiff((), (("/x", method),))) is None


def test_facts_are_unproven_until_one_way_has_been_seen() -> None:
    ways = [frozenset({"user:u", "org:o"}), frozenset({"key:7"})]
    assert unproven_facts(ways, {"user:u"}) == ("key:7", "org:o")
    assert unproven_facts(ways, {"key:7"}) is None
    assert unproven_facts([], set()) == ()


def test_a_permission_is_root_if_it_alone_publishes_for_a_user_or_a_key() -> None:
    rows = (
        f"p, {needs}, {PUBLISH.template}, {PUBLISH.method}, allow"
        for needs in ("a:read auth:jwt", "a:write auth:api_key", "b:read c:read")
    )
    policy = snapshot(*rows, table=RouteTable([PUBLISH]))
    assert root_permissions(policy, ["a:read", "a:write", "b:read", "c:read"]) == {"a:read", "a:write"}
