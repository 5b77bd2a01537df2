"""The expected reason of a case: a file or row, missing grants, or the text of a reason, and hints for others."""

from __future__ import annotations

import pytest

from app.policy.analysis.case_runner import matches
from app.policy.engine.decision import Decision
from app.policy.language.expected_reason import ExpectedReason, InvalidReason, read_expected_reason
from app.policy.language.grants import GrantHints
from app.policy.language.reason import Reason
from tests.policy.small import PERMISSIONS, snapshot

FILES = ("rows.csv", "more/rows.csv")
GENERAL = (
    "write `catalog.csv`, `catalog.csv:7`, a row, `lacks catalog:write` or a reason as printed by "
    "`authz policy explain`"
)


def why(text: str, *, allowed: bool = True) -> ExpectedReason | InvalidReason:
    return read_expected_reason(text, allowed=allowed, files=FILES, catalog=PERMISSIONS, hints=GrantHints(PERMISSIONS))


@pytest.mark.parametrize(
    ("text", "allowed", "message", "hint", "word"),
    [
        ("row.csv", True, "there is no file `row.csv` in this policy", "did you mean `rows.csv`?", "row.csv"),
        (
            "zzz.csv:3",
            True,
            "there is no file `zzz.csv` in this policy",
            "name a file of rows, such as `catalog.csv`",
            "zzz.csv",
        ),
        ("rows.csv:0", True, "`rows.csv:0` is not a reason to allow", GENERAL, "rows.csv:0"),
        (
            "lacks a:raed",
            False,
            "`a:raed` is an unknown permission",
            "did you mean `a:read`? If not, add it to permissions.toml",
            "a:raed",
        ),
        ("lacks ", False, "`` is an unknown permission", None, "lacks "),
        ("lacks a:read", True, "`lacks a:read` is not a reason to allow", GENERAL, "lacks a:read"),
        ("lack a:read", False, "`lack a:read` is not a reason to deny", "did you mean `lacks`?", "lack a:read"),
        ("lack a:read", True, "`lack a:read` is not a reason to allow", GENERAL, "lack a:read"),
        (
            "a rule allows",
            True,
            "`a rule allows` is not a reason to allow",
            "did you mean `a rule allows it`?",
            "a rule allows",
        ),
        ("a rule allows it", False, "`a rule allows it` is not a reason to deny", None, "a rule allows it"),
        ("a rule denies it", True, "`a rule denies it` is not a reason to allow", None, "a rule denies it"),
        (
            "p, a:read, /x, GET",
            True,
            "this row is incomplete",
            "write `p, <grants>, <resource>, <actions>, allow`",
            "p, a:read, /x, GET",
        ),
        ("p, a:read", False, "this row is incomplete", "write `p, <grants>, <resource>, <actions>, deny`", "p, a:read"),
        (
            "p, a:read, /x, GET, deny",
            True,
            "only a row with the effect `allow` decides to allow",
            "use a row that ends in `allow`",
            "deny",
        ),
        (
            "p, a:read, /x, GET, allow",
            False,
            "only a row with the effect `deny` decides to deny",
            "use a row that ends in `deny`",
            "allow",
        ),
    ],
)
def test_an_invalid_reason_is_refused_with_a_hint(
    text: str, allowed: bool, message: str, hint: str | None, word: str
) -> None:
    found = why(text, allowed=allowed)
    assert isinstance(found, InvalidReason)
    assert (found.message, found.word) == (message, word)
    if hint is not None:
        assert found.hint == hint


def decided(*rows: str, held: str = "a:read") -> Decision:
    return snapshot(*rows).decide(frozenset(held.split()), "/x", "GET", {"params": {"n": "1"}})


ROW = "p, a:read, /x, GET|POST, allow"


@pytest.mark.parametrize(
    ("text", "allowed", "rows", "fits"),
    [
        ("rows.csv", True, (ROW,), True),
        ("rows.csv:1", True, (ROW,), True),
        ("rows.csv:2", True, (ROW,), False),
        ("rows.csv:2", True, ("# first", ROW), True),
        ("more/rows.csv", True, (ROW,), False),
        ("rows.csv", False, ("p, b:read, /x, GET, allow",), False),
        (ROW, True, (ROW,), True),
        ("p,a:read, /x,POST|GET ,allow", True, (ROW,), True),
        (ROW.replace("|POST", ""), True, (ROW,), False),
        (f'{ROW}, "params.n == ""1"""', True, (f'{ROW}, "params.n == ""1"""',), True),
        (f"{ROW}, params.n == '1'", True, (f"{ROW}, params.n == '1'",), True),
        (ROW, True, (f"{ROW}, params.n == '1'",), False),
        ("p, a:read, /x, GET, deny", False, ("p, b:read, /x, GET, allow",), False),
        ("lacks b:read", False, ("p, b:read, /x, GET, allow",), True),
        ("lacks b:read c:read", False, ("p, b:read, /x, GET, allow",), False),
        ("lacks c:read b:read", False, ("p, b:read c:read, /x, GET, allow",), True),
        (str(Reason.NOT_HELD), False, ("p, b:read, /x, GET, allow",), True),
        (str(Reason.DENIED), False, ("p, b:read, /x, GET, allow",), False),
        ("no rule that would allow it has all its grants", False, ("p, b:read, /x, GET, allow",), True),
        ("no rule speaks of it", False, ("p, b:read, /y, GET, allow",), True),
        ("no rule speaks of it", False, ("p, b:read, /x, GET, allow",), False),
        (str(Reason.UNRULED), False, ("p, b:read, /y, GET, allow",), True),
        (str(Reason.ALLOWED), True, (ROW,), True),
    ],
)
def test_a_reason_matches_its_decision(text: str, allowed: bool, rows: tuple[str, ...], fits: bool) -> None:
    found = why(text, allowed=allowed)
    assert isinstance(found, ExpectedReason), found
    assert found.text == text
    assert matches(found, decided(*rows)) is fits
