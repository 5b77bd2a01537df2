"""The numbers of one process at one time, and those of several put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from app.metrics.families import METRICS

Labels = tuple[str, ...]


class Histogram(Struct):
    """Durations: their sum in nanoseconds, and how many have so many bits."""

    total: int = 0
    bits: dict[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.bits.values())

    def add(self, other: Histogram) -> None:
        """Take in those of another."""
        self.total += other.total
        for bits, number in other.bits.items():
            self.bits[bits] = self.bits.get(bits, 0) + number


class Values(Struct):
    """By the name of a metric, pairs of label values and a number or histogram; labels stand as METRICS has them."""

    made: int = 0  # the number of this reading among those of its process
    numbers: dict[str, list[tuple[Labels, float]]] = field(default_factory=dict)
    histograms: dict[str, list[tuple[Labels, Histogram]]] = field(default_factory=dict)

    def set(self, name: str, value: float, *labels: str) -> None:
        """State a number."""
        self.numbers.setdefault(name, []).append((labels, float(value)))

    def add(self, name: str, histogram: Histogram, *labels: str) -> None:
        """State a histogram."""
        self.histograms.setdefault(name, []).append((labels, histogram))


def summed(many: Iterable[Values]) -> Values:
    """What was counted in several processes, without what each has now."""
    numbers: dict[str, dict[Labels, float]] = {}
    histograms: dict[str, dict[Labels, Histogram]] = {}
    for values in many:
        for name, found in values.numbers.items():
            if name in METRICS and METRICS[name].kind == "counter":
                into = numbers.setdefault(name, {})
                for labels, value in found:
                    into[labels] = into.get(labels, 0) + value
        for name, measured in values.histograms.items():
            for labels, histogram in measured:
                histograms.setdefault(name, {}).setdefault(labels, Histogram()).add(histogram)
    return Values(
        numbers={name: list(found.items()) for name, found in numbers.items()},
        histograms={name: list(found.items()) for name, found in histograms.items()},
    )


def merged(live: Mapping[str, Values], ended: Values) -> Values:
    """The numbers of all workers: counted ones as sums, with those that `ended`, others by worker, its name last."""
    together = summed([*live.values(), ended])
    for worker, values in live.items():
        for name, found in values.numbers.items():
            if name in METRICS and METRICS[name].kind == "gauge":
                together.numbers.setdefault(name, []).extend(((*labels, worker), value) for labels, value in found)
    return together
