"""A past decision is decided again without the variables of conditions, if these make no difference."""

from __future__ import annotations

from itertools import combinations, product

import pytest

from app.policy.analysis.contextless import decide_without_context
from tests.policy.small import snapshot

ROWS = {
    "A": "p, a:read, /x, GET, allow",
    "a": "p, a:read, /x, GET, allow, \"request.path == '/one'\"",
    "D": "p, a:read, /x, GET, deny",
    "d": "p, a:read, /x, GET, deny, \"request.method == 'one'\"",
    "o": "p, b:read, /x, GET, deny, \"request.path == '/two'\"",  # of other callers
}
CONTEXTS = [{"request": {"path": path, "method": method}} for path, method in product(("/one", "/two"), ("one", "two"))]


@pytest.mark.parametrize("chosen", [chosen for count in range(6) for chosen in combinations(ROWS, count)], ids="".join)
def test_a_verdict_that_depends_on_no_condition_is_known(chosen: tuple[str, ...]) -> None:
    policy = snapshot(*(ROWS[each] for each in chosen))
    held = frozenset({"a:read"})
    verdicts = {policy.decide(held, "/x", "GET", context).allowed for context in CONTEXTS}
    found = decide_without_context(policy, held, "/x", "GET")
    assert (None if found is None else found.allowed) == (verdicts.pop() if len(verdicts) == 1 else None)


def test_a_side_that_is_denied_decides_whatever_the_condition_of_the_other() -> None:
    ask = "p, auth:oauth, scope:a:read, ask, allow"
    policy = snapshot("p, a:read, /x, GET, allow, \"request.path == '/one'\"", "p, user:eve, /x, GET, deny", ask)
    for user, known in (("user:eve", True), ("user:ann", False)):
        held = frozenset({"auth:oauth", "consented::a:read", "on-behalf::a:read", f"on-behalf::{user}"})
        found = decide_without_context(policy, held, "/x", "GET")
        assert (found is not None) is known
        assert not found
