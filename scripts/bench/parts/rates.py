"""Requests per second and p99 of two servers in turn, for every part that serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from scripts.bench.measuring import CONNECTIONS, Load, Options, Row, compared, load


@dataclass(frozen=True)
class Side:
    """A request and its server."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    connections: int = CONNECTIONS


def asked(options: Options, sides: Mapping[str, Side]) -> dict[str, list[Load]]:
    """Measure each side once per round, after a warm-up."""
    found: dict[str, list[Load]] = {name: [] for name in sides}
    for number in range(options.rounds + 1):
        for name, side in sides.items():
            answered = load(options, side.url, side.headers, side.body, side.connections)
            if number:
                found[name].append(answered)
    return found


def rows(
    part: str,
    what: str,
    *,
    ours: list[Load],
    others: list[Load],
    goals: tuple[str, str | None],
    size: int | None = None,
) -> Iterator[Row]:
    """The rate and, unless its goal is None, the p99 as rows of the table."""
    busiest = max(each.busy for each in (*ours, *others))
    note = "the load generator was the bottleneck" if busiest > 0.95 else ""
    mine, bare = [each.rate for each in ours], ("unprotected", [each.rate for each in others])
    yield compared(part, f"{what}, requests", "1/s", ours=mine, other=bare, goal=goals[0], size=size, note=note)
    if goals[1] is not None:
        mine, bare = [each.p99 for each in ours], ("unprotected", [each.p99 for each in others])
        yield compared(part, f"{what}, p99", "ms", ours=mine, other=bare, goal=goals[1])
