"""The summary of a difference: one line for each reason, the largest first."""

from __future__ import annotations

import pytest

from app.policy.analysis.diff_summary import summarize
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.small import TABLE, files, snapshot

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


ISSUER = 'issuer = "https://a.example"\njwks_url = "https://a.example/jwks"\naudiences = ["x"]\n'
TRUSTED = "the issuer a (https://a.example) is trusted: its users may gain access"
ALTERED = "the issuer a (https://a.example) is trusted in another way: its users may gain access"
DISTRUSTED = "the issuer a (https://a.example) is no longer trusted: its users lose access"


@pytest.mark.parametrize(
    ("old", "new", "widens", "lines"),
    [
        (None, "", True, [TRUSTED]),
        ("", None, False, [DISTRUSTED]),
        ("", "clock_skew_seconds = 300\n", True, [ALTERED]),
        ("", 'subject_prefix = "b:"\n', True, [ALTERED]),
        ("", "# the same\n", False, []),
    ],
)
def test_an_issuer_widens_access(old: str | None, new: str | None, widens: bool, lines: list[str]) -> None:
    def policy(more: str | None) -> Snapshot:
        added = {} if more is None else {"issuers.toml": f"[a]\n{ISSUER}{more}# end\n".encode()}
        return Snapshot(parse(from_bytes({**files(READ, WRITE), **added})), TABLE)

    found = compare(policy(old), policy(new))
    assert (found.widens, found.is_empty) == (widens, not lines)
    assert [headline.text for headline in summarize(found)] == lines
