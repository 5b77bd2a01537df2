"""Operators of conditions bind as in CEL's grammar."""

from __future__ import annotations

import pytest

from tests.policy.small import snapshot


@pytest.mark.parametrize(
    ("condition", "is_met"),
    [
        ("true ? false || true : false", True),
        ("true ? true && false : true", False),
        ("false || true ? true : false", True),
        ("false ? true : false ? false : true", True),
        ("false ? true : false || true", True),
        ("true || false && false", True),
        ("false && false || true", True),
        ("!true || true", True),
        ("!false && true", True),
        ("!(true || true)", False),
        ("true && 1 == 1", True),
        ("1 + 2 * 3 == 7", True),
        ("2 * 3 + 1 == 7", True),
        ("10 - 2 - 3 == 5", True),
        ("8 / 2 % 3 == 1", True),
        ("-1 + 2 == 1", True),
        ("1 + 1 in [2] && true", True),
    ],
)
def test_operators_bind_as_in_cel(condition: str, *, is_met: bool) -> None:
    policy = snapshot(f'p, a:read, /x, GET, allow, "{condition}"')
    assert bool(policy.decide(frozenset({"a:read"}), "/x", "GET")) is is_met
