"""The summary of a difference: one line for each reason, the largest first."""

from __future__ import annotations

import pytest

from app.policy.analysis.diff_summary import summarize
from app.policy.analysis.semantic_diff import compare
from tests.policy.small import snapshot

READ = "p, a:read, /x/**, GET, allow"
ADMIN = "p, role:admin, /x, POST, allow"
WRITE = "p, a:write, /x, POST, allow"
BLOCKED = "p, role:blocked, /x/**, GET, deny"
VIEWER = "g, role:viewer, a:read"


def summary_lines(old: tuple[str, ...], new: tuple[str, ...]) -> list[str]:
    return [headline.text for headline in summarize(compare(snapshot(*old), snapshot(*new)))]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ((READ, WRITE), (READ, WRITE), []),
        (
            (READ, WRITE, VIEWER),
            (READ, WRITE, VIEWER, "g, user:bob, role:viewer"),
            ["user:bob gains role:viewer: 2 endpoints"],
        ),
        (
            (READ, WRITE, VIEWER, "g, user:bob, role:viewer"),
            (READ, WRITE, VIEWER),
            ["user:bob loses role:viewer: 2 endpoints"],
        ),
        (
            (READ, WRITE, VIEWER),
            (READ, WRITE, VIEWER, "g, user:bob, role:viewer", "g, user:ann, role:viewer"),
            ["user:ann and user:bob gain role:viewer: 2 endpoints"],
        ),
        (
            (READ, WRITE, VIEWER),
            (READ, WRITE, VIEWER, *(f"g, user:u{number}, role:viewer" for number in range(9))),
            ["user:u0, user:u1, user:u2, user:u3 and 5 more gain role:viewer: 2 endpoints"],
        ),
        (
            (READ, WRITE, VIEWER),
            (READ, WRITE, VIEWER, "g, user:bob, role:viewer", "g, user:ann, a:write"),
            ["user:bob gains role:viewer: 2 endpoints", "user:ann gains a:write: 1 endpoint"],
        ),
        (
            (READ, WRITE, VIEWER, "g, user:bob, role:viewer"),
            (READ, WRITE, VIEWER, "g, user:bob, role:viewer", "g, role:viewer, a:write"),
            ["role:viewer gains a:write: 1 endpoint for holders of user:bob"],
        ),
        (
            (READ, WRITE, BLOCKED, "g, user:bob, role:blocked"),
            (READ, WRITE, BLOCKED),
            ["user:bob loses role:blocked, which opens 2 endpoints"],
        ),
        ((READ, WRITE), (READ.replace("a:read", "anyone"), WRITE), ["everyone gains 2 endpoints"]),
        (
            (READ, WRITE),
            (READ, WRITE.replace("a:write", "a:write b:read")),
            ["holders of a:write lose 1 endpoint"],
        ),
        (
            (READ, WRITE),
            (READ, WRITE, "p, b:read, /x/**, GET, allow, \"request.ip == '10.0.0.1'\""),
            ["holders of b:read may gain 2 endpoints"],
        ),
    ],
)
def test_each_reason_is_one_line(old: tuple[str, ...], new: tuple[str, ...], lines: list[str]) -> None:
    assert summary_lines(old, new) == lines


def test_gains_come_before_losses_and_name_their_rows() -> None:
    difference = compare(
        snapshot(READ, WRITE, "g, user:ann, a:write"),
        snapshot(READ, WRITE, "g, user:bob, a:read", "g, user:eve, a:write"),
    )
    found = summarize(difference)
    assert [(each.kind, each.endpoints) for each in found] == [("gain", 2), ("gain", 1), ("loss", 1)]
    assert [(link.side, str(link.row)) for link in found[0].links] == [("new", "g, user:bob, a:read")]
