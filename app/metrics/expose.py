"""Exposition of metrics in the text formats of Prometheus. Runs in a thread, where it imports prometheus_client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app.metrics.families import METRICS, Metric
from app.metrics.values import Histogram, Labels, Values

WORKER = "worker"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_NANO = 1_000_000_000
_process = ProcessCollector(registry=None)


class _MetricsCollector(Collector):
    def __init__(self, values: Values) -> None:
        self._values = values

    def collect(self) -> Iterator[Family]:
        for metric in METRICS.values():
            if metric.kind == "histogram":
                measured = self._values.histograms.get(metric.name)
                if measured:
                    yield _histogram(metric, measured)
            elif found := self._values.numbers.get(metric.name):
                yield _number(metric, found)


def expose(values: Values, accept: str) -> tuple[bytes, str]:
    """The metrics in OpenMetrics if the client accepts it, else in Prometheus' text format, and the content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_MetricsCollector(values))
    # The library's `choose_encoder` echoes the header, and fails if the version in it is not a number.
    if _OPENMETRICS.partition(";")[0] in accept.lower():
        text: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # the library's omission
        return text, _OPENMETRICS
    return generate_latest(registry), _TEXT


def add_process(values: Values) -> None:
    """Add the metrics of this process, those that the operating system reports."""
    for family in _process.collect():
        for sample in family.samples:
            values.set(sample.name, sample.value)


def _number(metric: Metric, found: Iterable[tuple[Labels, float]]) -> Family:
    found = list(found)
    labels = metric.labels if len(found[0][0]) == len(metric.labels) else (*metric.labels, WORKER)
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=labels)
    for values, number in found:
        family.add_metric(values, number)
    return family


def _histogram(metric: Metric, measured: Iterable[tuple[Labels, Histogram]]) -> Family:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=metric.labels)
    for labels, histogram in measured:
        family.add_metric(labels, list(_buckets(metric.bits, histogram)), histogram.total / _NANO)
    return family


def _buckets(bounds: range, histogram: Histogram) -> Iterator[tuple[str, float]]:
    """Cumulative counts by upper bound in seconds. A duration with n bits is under 2**n nanoseconds."""
    below = sorted(histogram.bits.items())
    place = count = 0
    for bound in bounds:
        while place < len(below) and below[place][0] <= bound:
            count += below[place][1]
            place += 1
        yield repr(2**bound / _NANO), count
    yield "+Inf", histogram.count
