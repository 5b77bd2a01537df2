"""The metrics of a scrape, parsed as Prometheus does."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from tests.support.issuer import LiveIssuer
from tests.support.server import Server


@dataclass(frozen=True)
class Scraped:
    """Samples by name and labels, and the type of each family by its name."""

    samples: dict[str, dict[frozenset[tuple[str, str]], float]]
    types: dict[str, str]

    def __call__(self, name: str, **labels: str) -> float:
        """The sum of the samples with these labels; 0 if there are none."""
        wanted = set(labels.items())
        return sum(value for found, value in self.samples.get(name, {}).items() if wanted <= found)

    def labels(self, name: str) -> set[str]:
        """The names of all labels of a metric."""
        return {label for found in self.samples.get(name, {}) for label, _ in found}

    def values(self, name: str, label: str) -> set[str]:
        """The values of a label of a metric."""
        return {value for found in self.samples.get(name, {}) for key, value in found if key == label}


def read(text: str) -> Scraped:
    """Parse a text of metrics."""
    samples: dict[str, dict[frozenset[tuple[str, str]], float]] = {}
    types: dict[str, str] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            under = samples.setdefault(sample.name, {})
            labels = frozenset(sample.labels.items())
            assert labels not in under, f"{sample.name} {dict(labels)} is there twice"
            under[labels] = sample.value
            types[sample.name] = family.type
    return Scraped(samples, types)


def scrape(server: Server, issuer: LiveIssuer) -> Scraped:
    """Scrape a server with the required permission."""
    with server.client(issuer.token(permissions=["metrics:read"])) as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return read(answer.text)
