"""A decision: remembered, made for the first time, and by plain pycasbin, as the rules grow."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.bench.decide import first, snapshot_of
from scripts.bench.measuring import Options, Row, compared, in_turn, micros, spread
from tests.policy.worlds import Plain


def measure(options: Options) -> Iterator[Row]:
    """A remembered decision, a first one with 1 and with 16 grants, and the load of all rules."""
    least: dict[int, list[float]] = {}
    for rules in (40, 400) if options.tiny else (40, 400, 4_000, 40_000):
        snapshot, _ = snapshot_of(rules)
        plain = Plain(snapshot)
        held = frozenset(["anyone", "r0:read"])
        effective = snapshot.effective(held)
        resource = "/api/v0/things/{id}"
        many = frozenset(["anyone", *(f"r{number}:read" for number in range(16))])
        snapshot.decide(held, resource, "GET")
        found = in_turn(
            options.rounds,
            {
                "remembered": lambda s=snapshot, h=held, r=resource: micros(lambda: s.decide(h, r, "GET"), 20_000),  # type: ignore[misc]
                "first 1": lambda s=snapshot, h=held, n=rules: first(s, h, n, 400) * 1e6,  # type: ignore[misc]
                "first 16": lambda s=snapshot, h=many, n=rules: first(s, h, n, 400) * 1e6,  # type: ignore[misc]
                "pycasbin": lambda p=plain, e=effective, r=resource, n=rules: micros(  # type: ignore[misc]
                    lambda: p.allows(e, r, "GET", {}), max(1, 400 // n)
                ),
            },
        )
        row = Row("decide", f"remembered, {rules:,} rules", "µs", spread(found["remembered"]), "under 1 µs", rules)
        yield row
        for grants in (1, 16):
            took = found[f"first {grants}"]
            what = f"first, {rules:,} rules, {grants} grants"
            flat = least.setdefault(grants, took)
            yield compared(
                "decide",
                what,
                "µs",
                ours=took,
                other=("40 rules", flat),
                goal="under 15 µs, at most 1.3 times",
                size=rules,
            )
        what = f"plain pycasbin, {rules:,} rules"
        yield compared(
            "decide",
            what,
            "µs",
            ours=found["pycasbin"],
            other=("a first decision", found["first 1"]),
            goal="",
            size=rules,
        )
