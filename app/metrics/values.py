"""The values of the metrics of one process, and how those of several are merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct, field

from app.metrics.families import METRICS

Labels = tuple[str, ...]


class Histogram(Struct):
    """Durations: their sum in nanoseconds, and their counts by number of bits."""

    total: int = 0
    bits: dict[int, int] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """The number of durations."""
        return sum(self.bits.values())

    def add(self, other: Histogram) -> None:
        """Add the durations of another histogram."""
        self.total += other.total
        for bits, number in other.bits.items():
            self.bits[bits] = self.bits.get(bits, 0) + number


class Values(Struct):
    """For each metric by name, pairs of label values, in the order of METRICS, and a number or a histogram."""

    reading: int = 0  # the sequence number of these values in their process
    numbers: dict[str, list[tuple[Labels, float]]] = field(default_factory=dict)
    histograms: dict[str, list[tuple[Labels, Histogram]]] = field(default_factory=dict)

    def set(self, name: str, value: float, *labels: str) -> None:
        """Set a number."""
        self.numbers.setdefault(name, []).append((labels, float(value)))

    def add(self, name: str, histogram: Histogram, *labels: str) -> None:
        """Add a histogram."""
        self.histograms.setdefault(name, []).append((labels, histogram))


def sum_counters(many: Iterable[Values]) -> Values:
    """The sums of the counters and histograms of several processes, without their gauges."""
    numbers: dict[str, dict[Labels, float]] = {}
    histograms: dict[str, dict[Labels, Histogram]] = {}
    for values in many:
        for name, found in values.numbers.items():
            if name in METRICS and METRICS[name].kind == "counter":
                sums = numbers.setdefault(name, {})
                for labels, value in found:
                    sums[labels] = sums.get(labels, 0) + value
        for name, measured in values.histograms.items():
            for labels, histogram in measured:
                histograms.setdefault(name, {}).setdefault(labels, Histogram()).add(histogram)
    return Values(
        numbers={name: list(found.items()) for name, found in numbers.items()},
        histograms={name: list(found.items()) for name, found in histograms.items()},
    )


def merge_workers(live: Mapping[str, Values], ended: Values) -> Values:
    """The values of all workers: counters as sums, including `ended` workers; gauges with the worker as last label."""
    merged = sum_counters([*live.values(), ended])
    for worker, values in live.items():
        for name, found in values.numbers.items():
            if name in METRICS and METRICS[name].kind == "gauge":
                merged.numbers.setdefault(name, []).extend(((*labels, worker), value) for labels, value in found)
    return merged
