"""The engine, plain pycasbin over the same expanded rows, and an oracle over sets give the same verdicts."""

from __future__ import annotations

import random

from tests.policy.worlds import Case, Row, World, ask, compare, make, oracle


def test_three_implementations_agree_on_seeded_cases() -> None:
    assert [*compare(seed=2026, cases=6_000)][-1] == 6_000


def test_the_seeded_cases_cover_each_kind_of_verdict() -> None:
    """Allows, denials, denies that override an allow, conditions and roles all decide often enough."""
    seeded = random.Random(7)
    verdicts = {True: 0, False: 0}
    beaten = 0
    for _ in range(300):
        world = make(seeded)
        without = World([row for row in world.rows if row.effect == "allow"], world.memberships, world.templates, [])
        for _ in range(20):
            case = ask(seeded, world)
            verdict = oracle(world, case)
            verdicts[verdict] += 1
            beaten += verdict is not oracle(without, case)
    assert min(verdicts.values()) > 300
    assert beaten > 50


def test_the_oracle_reads_the_language_as_it_is_described() -> None:
    def verdict(*rows: Row, held: set[str], resource: str = "/x/{id}", action: str = "GET") -> bool:
        world = World([*rows], [("role:one", "a:read")], {"/x/{id}": ["GET"]}, [])
        return oracle(world, Case(frozenset(held), resource, action, {}))

    allow = Row(frozenset({"a:read"}), "/x/*", ("GET",), "allow", False)
    deny = Row(frozenset({"env:test"}), "/**", ("GET",), "deny", False)
    assert verdict(allow, held={"a:read"})
    assert verdict(allow, held={"role:one"})
    assert not verdict(allow, held={"b:read"})
    assert not verdict(allow, held={"a:read"}, action="POST")
    assert not verdict(allow, deny, held={"a:read", "env:test"})
    assert not verdict(held={"a:read"})
