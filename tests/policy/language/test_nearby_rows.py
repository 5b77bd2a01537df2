"""Rows that moved are reused, of which only those near their former place are in memory by their lines."""

from __future__ import annotations

import random

import pytest

from app.policy.language import nearby_rows
from app.policy.language.diff import changes, take_changes
from app.policy.language.load import Policy, parse
from app.policy.language.rule import distinct_terms
from app.policy.language.source import from_bytes
from tests.policy.shipped import policy_of
from tests.policy.small import files as small_files

ROWS = [
    "g, role:mover, catalog:read",
    "g, role:shaker, role:mover",
    *(f"p, catalog:read, moved:{number}, read, allow" for number in range(6)),
    "p, catalog:read, moved, read, allow, context.a == 1",
    "p, catalog:write, moved, write|read, deny",
    "# moved",
    "",
]
_CATALOG = "".join(f'["{name}"]\ntitle = "t"\ngrants = "g"\n' for name in ("catalog:read", "catalog:write"))
_SHARED = {"model.conf": small_files()["model.conf"], "permissions.toml": f"{_CATALOG}# end\n".encode()}
CONDITION = 'p, catalog:read, moved:{}, read, allow, "context.a == 1"'


def files(*lines: str) -> dict[str, bytes]:
    return {**_SHARED, "moved.csv": "".join(f"{line}\n" for line in (*lines, "# end")).encode()}


def after(before: Policy, *lines: str) -> Policy:
    return parse(from_bytes(files(*lines)), before)


@pytest.mark.parametrize("reach", [0, 1, 3, 2_000])
def test_rows_are_the_same_however_few_lines_are_kept(reach: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearby_rows, "REACH", reach)
    rng = random.Random(reach)
    lines = ["p, catalog:read, moved, read, allow"]
    before = policy_of(files(*lines))
    for _ in range(40):
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(lines))
            lines[at : at + rng.choice((0, 0, 0, 2))] = rng.choices(ROWS, k=rng.randint(0, 9))
        if rng.random() < 0.2:
            rng.shuffle(lines)
        lines = [*dict.fromkeys(lines)] if rng.random() < 0.3 else lines[:60]
        now, fresh = after(before, *lines), policy_of(files(*lines))
        assert (now.rules, now.memberships, now.roles) == (fresh.rules, fresh.memberships, fresh.roles)
        before = now


def test_rows_between_two_edits_are_reused_as_they_are() -> None:
    rows = [f"p, catalog:read, moved:{number}, read, allow" for number in range(50)]
    before = policy_of(files(*rows))
    now = after(before, "p, anyone, moved, read, deny", *rows[1:-1], "p, anyone, moved, write, deny")
    same = [rule for rule in now.rules if rule.file == "moved.csv" and any(rule is other for other in before.rules)]
    assert [rule.resource for rule in same] == [f"moved:{number}" for number in range(1, 49)]


def test_rows_on_other_lines_take_no_memory_but_their_own() -> None:
    """A policy of very many rows is in memory twice during a reload."""
    rows = [CONDITION.format(number) for number in range(400)]
    before = policy_of(files(*rows))
    now = after(before, "# one line more", *rows)
    old, new = ([rule for rule in each.rules if rule.file == "moved.csv"] for each in (before, now))
    assert [rule.line for rule in new] == list(range(2, 402))
    assert len({id(rule.terms) for rule in (*old, *new)}) == len(distinct_terms(new)) == 1
    assert {id(rule.resource) for rule in new} == {id(rule.resource) for rule in old}
    assert len({id(rule.line) for rule in new} - {id(rule.line) for rule in old}) == 1


def test_rows_differ_in_terms_by_file_column_and_each_cell() -> None:
    rows = [
        "p, catalog:read, /api/v1/teams, GET, allow",
        " p, catalog:read, /api/v1/teams/**, GET, allow",
        "p, catalog:write, /api/v1/teams, GET, allow",
        "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow",
        "p, catalog:read, /api/v1/teams, GET, deny",
        "p, catalog:read, /api/v1/teams, GET, allow, context.a == 1",
        "p, catalog:read, /api/v1/teams, GET, allow, context.a == 2",
    ]
    policy = policy_of({**files(*rows), "more.csv": f"{rows[0]}\n# end\n".encode()})
    found = [rule for rule in policy.rules if rule.file in {"moved.csv", "more.csv"}]
    assert len(distinct_terms(found)) == len(found) == len(rows) + 1
    assert [(rule.file, rule.line, rule.column) for rule in found] == [
        ("more.csv", 1, 1),
        *(("moved.csv", line, 2 if line == 2 else 1) for line in range(1, 8)),
    ]
    assert [str(rule) for rule in found[1:]] == [
        *(row.strip() for row in rows[:5]),
        *(f'p, catalog:read, /api/v1/teams, GET, allow, "context.a == {number}"' for number in (1, 2)),
    ]


def test_changes_are_found_without_keeping_the_policies() -> None:
    before, now = policy_of(files(*ROWS)), policy_of(files(*ROWS[1:]))
    policies = [before, now]
    assert take_changes(policies) == changes(before, now) != ()
    assert not policies
