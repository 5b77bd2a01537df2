"""The missing grants of a denial: those of the nearest row that a caller can request."""

from __future__ import annotations

import pytest

from tests.policy.small import snapshot

FAR = "p, a:read a:write b:read, /x, GET, allow"
NEAR = "p, c:read, /x, GET, allow"
FACT = "p, user:ann, /x, GET, allow"
DENY = "p, b:read, /x, GET, deny"


@pytest.mark.parametrize(
    ("rows", "held", "missing"),
    [
        ([FAR], "", "a:read a:write b:read"),
        ([FAR, NEAR], "", "c:read"),
        ([NEAR, FAR], "", "c:read"),
        ([FAR, "p, c:read a:read, /x, GET, allow"], "a:read a:write", "b:read"),
        ([FAR, NEAR], "a:read a:write", "b:read"),  # as near as the other, and earlier
        ([NEAR, FAR], "a:read a:write", "c:read"),
        ([FACT, FAR], "", "a:read a:write b:read"),
        ([FAR, FACT], "", "a:read a:write b:read"),
        ([FACT, NEAR], "", "c:read"),
        ([FACT], "", "user:ann"),
        ([DENY, NEAR], "", "c:read"),
        ([DENY], "", ""),
    ],
)
def test_a_denial_names_the_missing_grants_of_the_nearest_row(rows: list[str], held: str, missing: str) -> None:
    decision = snapshot(*rows).decide(frozenset(held.split()), "/x", "GET")
    assert not decision
    assert " ".join(decision.missing) == missing
