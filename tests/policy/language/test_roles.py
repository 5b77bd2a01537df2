"""Roles add grants through chains of any length; a cycle is refused at one of its rows."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from app.policy.language.fault import Fault
from app.policy.language.roles import Roles, close, link
from app.policy.language.rule import Membership

LONG = 10_000


def linked(*rows: tuple[str, str]) -> Roles:
    faults: list[Fault] = []
    roles = link([Membership("r.csv", line, *row) for line, row in enumerate(rows, 1)], faults)
    assert not faults
    return roles


def circles(*rows: tuple[str, str]) -> list[tuple[int, str]]:
    faults: list[Fault] = []
    link([Membership("r.csv", line, *row) for line, row in enumerate(rows, 1)], faults)
    assert {fault.code for fault in faults} <= {"circle"}
    return [(fault.line, fault.message.partition(": ")[2]) for fault in faults]


def test_a_role_adds_grants_transitively() -> None:
    roles = linked(("user:u", "role:admin"), ("role:admin", "role:editor"), ("role:editor", "a:write"), ("role:x", "b"))
    assert close(["user:u"], roles) == {"user:u", "role:admin", "role:editor", "a:write"}
    assert close(["role:editor"], roles) == {"role:editor", "a:write"}


def test_a_grant_without_rows_adds_nothing() -> None:
    assert close(["unused", "user:other"], linked(("user:u", "a"))) == {"unused", "user:other"}
    assert close([], linked(("user:u", "a"))) == frozenset()
    assert close(["user:u"], {}) == {"user:u"}


def test_two_paths_to_a_role_are_no_cycle() -> None:
    roles = linked(("top", "left"), ("top", "right"), ("left", "end"), ("right", "end"), ("top", "end"))
    assert close(["top"], roles) == {"top", "left", "right", "end"}


def test_a_repeated_g_row_is_one_row() -> None:
    assert linked(("a", "b"), ("a", "b")) == {"a": frozenset({"b"})}


def test_a_cycle_is_reported_once_at_its_last_row() -> None:
    assert circles(("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")) == [(3, "a → b → c → a")]
    assert circles(("c", "a"), ("d", "a"), ("a", "b"), ("b", "c")) == [(4, "c → a → b → c")]


def test_a_role_of_itself_is_a_cycle() -> None:
    assert circles(("a", "a")) == [(1, "a → a")]


def test_every_cycle_is_reported() -> None:
    assert [line for line, _ in circles(("a", "b"), ("b", "a"), ("x", "y"), ("y", "x"))] == [2, 4]


def test_a_chain_of_ten_thousand_roles_is_resolved_in_little_memory() -> None:
    chain = [(f"role:r{n}", f"role:r{n + 1}") for n in range(LONG)]
    random.Random(3).shuffle(chain)
    tracemalloc.start()
    roles = linked(*chain)
    assert close(["role:r0"], roles) == {f"role:r{n}" for n in range(LONG + 1)}
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 30_000_000


def test_a_cycle_of_ten_thousand_roles_is_reported_in_one_short_line() -> None:
    rows = [(f"role:r{n}", f"role:r{(n + 1) % LONG}") for n in range(LONG)]
    ((line, shown),) = circles(*rows)
    assert line == LONG
    assert shown.startswith("role:r0 → role:r1 → ")
    assert shown.endswith(" → … → role:r9999 → role:r0")


def test_the_closure_equals_a_fixed_point_on_random_graphs() -> None:
    seeded = random.Random(5)
    for _ in range(300):
        names = [f"g{n}" for n in range(8)]
        rows = {(a, b) for a in names for b in names if a < b and seeded.random() < 0.25}
        stated = set(seeded.sample(names, 2))
        expected = set(stated)
        while grown := {b for a, b in rows if a in expected} - expected:
            expected |= grown
        assert close(stated, linked(*sorted(rows))) == expected


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (7, "r0 → r1 → r2 → r3 → r4 → r5 → r6 → r0"),
        (8, "r0 → r1 → r2 → r3 → r4 → r5 → … → r7 → r0"),
        (9, "r0 → r1 → r2 → r3 → r4 → r5 → … → r8 → r0"),
    ],
)
def test_a_cycle_is_shown_with_at_most_eight_roles(length: int, shown: str) -> None:
    assert circles(*((f"r{n}", f"r{(n + 1) % length}") for n in range(length))) == [(length, shown)]


def test_a_cycle_is_reported_at_the_last_row_of_the_last_file() -> None:
    faults: list[Fault] = []
    rows = [Membership("b.csv", 1, "a", "b"), Membership("a.csv", 9, "b", "c"), Membership("b.csv", 7, "c", "a")]
    link([*rows, Membership("b.csv", 8, "a", "b")], faults)
    assert [(each.code, each.file, each.line, each.column) for each in faults] == [("circle", "b.csv", 7, 1)]
    assert (faults[0].text, faults[0].length, faults[0].hint) == ("g, c, a", 7, "delete one row of the cycle")
    assert faults[0].message == "this row creates a cycle: a → b → c → a"


def test_a_cycle_after_resolved_roles_is_reported_once() -> None:
    assert circles(("x", "y"), ("y", "z"), ("a", "x"), ("a", "b"), ("b", "a"), ("z", "q")) == [(5, "a → b → a")]
    assert circles(("a", "b"), ("b", "c"), ("b", "d"), ("d", "b"), ("c", "e")) == [(4, "b → d → b")]
