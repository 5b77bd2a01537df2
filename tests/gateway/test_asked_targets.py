"""What a question is about: one route or one thing, or a reason why it is none, with the status for it."""

from __future__ import annotations

import pytest

from app.gateway.asked import asked_target
from app.policy.target import NoSuchTarget
from tests.policy.small import snapshot

CONDITION = "\"params.id == 'é'\""
PLAIN = snapshot("p, a:read, /x/{id}, GET, allow", "p, a:read, record, read, allow")
CONDITIONAL = snapshot(f"p, a:read, /x/{{id}}, GET, allow, {CONDITION}")


@pytest.mark.parametrize(
    ("kind", "identity", "action", "status", "reason"),
    [
        ("route", "/x/7", "POST", 405, "the route has no such method"),
        ("route", "/x/{id}", "POST", 405, "the route has no such method"),
        ("route", "/y", "BREW", 405, "the route has no such method"),
        ("route", "/z", "GET", 404, "no route matches this path"),
        ("route", "orders:/x/7", "GET", 404, "no route matches this path"),
        ("route", "x", "GET", 404, "a route is a template or a path"),
        ("route", ":/x", "GET", 404, "a route is a template or a path"),
        ("route", "/é", "GET", 404, "a route is a template or a path"),
        ("route", "", "GET", 404, "a route is a template or a path"),
        ("route", "/x//7", "GET", 400, "The path has an ambiguous spelling."),
        ("route", "/x/%2F", "GET", 400, "The path encodes a character that must not be encoded."),
        ("a b", "7", "read", 404, "no resource has such a type"),
        ("", "7", "read", 404, "no resource has such a type"),
        ("record", "", "read", 404, "no resource has such an id"),
        ("record", "a b", "read", 404, "no resource has such an id"),
        ("record", "*", "read", 404, "no resource has such an id"),
        ("record", "/7", "read", 404, "no resource has such an id"),
        ("record", "a\x00", "read", 404, "no resource has such an id"),
    ],
)
def test_what_is_no_target_says_why(kind: str, identity: str, action: str, status: int, reason: str) -> None:
    with pytest.raises(NoSuchTarget) as refused:
        asked_target(PLAIN, action, kind, identity)
    assert (refused.value.status, str(refused.value)) == (status, reason)


def test_a_path_and_its_template_are_one_route() -> None:
    for identity in ("/x/7", "/x/%C3%A9", "/x/7/", "/x/{id}"):
        target = asked_target(PLAIN, "GET", "route", identity)
        assert (target.resource, target.action) == ("/x/{id}", "GET")
        assert not target.params, "no condition reads them"
    assert asked_target(PLAIN, "read", "record", "7").asked == "record:7"


def test_parameters_are_those_of_the_path_decoded() -> None:
    assert asked_target(CONDITIONAL, "GET", "route", "/x/%C3%A9").params == {"id": "é"}
