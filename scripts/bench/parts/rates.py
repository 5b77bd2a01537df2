"""Requests per second and p99 of two servers in turn, for every part that serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from scripts.bench.measuring import CONNECTIONS, Load, Options, Row, compared, load


@dataclass(frozen=True)
class Side:
    """A request and its server."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    connections: int = CONNECTIONS


@dataclass(frozen=True)
class Pair:
    """A measurement of a side, and the one of the reference that followed it at once."""

    side: Load
    reference: Load


def asked(options: Options, reference: Side, sides: Mapping[str, Side]) -> dict[str, list[Pair]]:
    """Measure each side once per round, and the reference after each, after a warm-up.

    The speed of a machine drifts within a round, and each round begins with another side, so that none always has the
    same predecessor.
    """
    names = list(sides)
    found: dict[str, list[Pair]] = {name: [] for name in names}
    for each in (reference, *sides.values()):
        _load(options, each)
    for number in range(options.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(Pair(_load(options, sides[name]), _load(options, reference)))
    return found


def _load(options: Options, side: Side) -> Load:
    return load(options, side.url, side.headers, side.body, side.connections)


def rows(
    part: str, what: str, pairs: Sequence[Pair], *, goals: tuple[str, str | None], size: int | None = None
) -> Iterator[Row]:
    """The rate and, unless its goal is None, the p99 as rows of the table, compared with the unprotected handler."""
    busiest = max(load.busy for pair in pairs for load in (pair.side, pair.reference))
    note = "the load generator was the bottleneck" if busiest > 0.95 else ""
    mine, bare = [pair.side.rate for pair in pairs], [pair.reference.rate for pair in pairs]
    other = ("unprotected", bare)
    yield compared(part, f"{what}, requests", "1/s", ours=mine, other=other, goal=goals[0], size=size, note=note)
    if goals[1] is not None:
        mine, bare = [pair.side.p99 for pair in pairs], [pair.reference.p99 for pair in pairs]
        yield compared(part, f"{what}, p99", "ms", ours=mine, other=("unprotected", bare), goal=goals[1])
