"""A deny of a resource that nothing allows is a fault, with a hint at the probable name."""

from __future__ import annotations

import pytest

from app.policy.engine.checks import check
from tests.policy.small import snapshot

DELETE = "delete it, or correct the spelling"


@pytest.mark.parametrize("action", ["raed", "Read", "erase"])
@pytest.mark.parametrize("thing", ["team", "team:7"])
def test_the_hint_names_nothing_else_for_a_known_type(thing: str, action: str) -> None:
    policy = snapshot("p, a:read, team, read, allow", f"p, a:read, {thing}, {action}, deny")
    (fault,) = (each for each in check(policy) if each.code == "idle-deny")
    assert (fault.line, fault.hint) == (2, DELETE)


@pytest.mark.parametrize(
    ("thing", "hint"),
    [
        ("tem", "did you mean `team`?"),
        ("Team", "did you mean `team`?"),
        ("team:seven", DELETE),
        ("invoice", DELETE),
        # Near the template of a route, which is another kind of resource.
        ("archive", DELETE),
    ],
)
def test_the_hint_names_a_resource_that_rows_allow(thing: str, hint: str) -> None:
    policy = snapshot(
        "p, a:read, team, read, allow",
        "p, a:read, /**, GET, allow",
        f"p, a:read, {thing}, write, deny",
        f"p, a:read, {thing}, read, deny",
    )
    found = [fault for fault in check(policy) if fault.code == "idle-deny"]
    assert [(fault.line, fault.hint) for fault in found if "`write`" in fault.message] == [(3, hint)]
