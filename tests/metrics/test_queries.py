"""The example dashboard and alerts use metrics and labels that a server really exposes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from promql_parser import AggregateExpr, BinaryExpr, Expr, MatchOp, VectorSelector

from tests.metrics.scraped import Scraped, scrape
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server, eventually

EXAMPLES = ROOT / "scripts" / "observability"
# `up` and these labels are added by Prometheus.
OF_PROMETHEUS = {"job", "instance"}
GRAFANA = {"$__rate_interval": "5m", "$__range": "1h", "$instance": ".*"}


def of_alerts() -> Iterator[tuple[str, str]]:
    for group in yaml.safe_load((EXAMPLES / "alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def of_dashboard() -> Iterator[tuple[str, str]]:
    dashboard = json.loads((EXAMPLES / "dashboard.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]["query"]
            asked = re.fullmatch(r"label_values\((.+), instance\)", query)
            assert asked, query
            yield variable["name"], asked[1]


def parsed(query: str) -> Expr:
    for variable, value in GRAFANA.items():
        query = query.replace(variable, value)
    assert "$" not in query, query
    expression: Expr = promql_parser.parse(query)
    return expression


def selectors(expression: Any) -> Iterator[VectorSelector]:
    found: list[VectorSelector] = []

    def visit(node: Any) -> None:
        if isinstance(node, VectorSelector):
            found.append(node)

    promql_parser.walk(expression, visit)
    return iter(found)


def faults(query: str, exposed: Scraped) -> Iterator[str]:
    """The parts of a query that match no exposed metric."""
    expression = parsed(query)
    for selector in selectors(expression):
        name = selector.name
        if name == "up":
            continue
        if name not in exposed.samples:
            yield f"no metric {name}"
            continue
        for matcher in selector.matchers.matchers:
            if matcher.name in OF_PROMETHEUS:
                continue
            if matcher.name not in exposed.labels(name):
                yield f"{name} has no label {matcher.name}"
            elif matcher.op == MatchOp.Equal and matcher.value not in exposed.values(name, matcher.name):
                yield f"{name} has no {matcher.name} {matcher.value}"
        is_rate = exposed.types[name] in ("counter", "histogram")
        if is_rate and not re.search(rf"(rate|increase)\({name}\{{?", query):
            yield f"{name} counts, and is taken as it stands"

    def visit(node: Any) -> None:
        if isinstance(node, AggregateExpr) and node.modifier:
            below = {label for found in selectors(node.expr) if found.name for label in exposed.labels(found.name)}
            missing.extend(label for label in node.modifier.labels if label not in below | OF_PROMETHEUS)
        if isinstance(node, BinaryExpr) and node.modifier and node.modifier.matching:
            raise AssertionError("teach this test about on() and ignoring()")

    missing: list[str] = []
    promql_parser.walk(expression, visit)
    yield from (f"nothing below has a label {label}" for label in missing)


@pytest.fixture(scope="module")
def exposed(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """All metrics that a worker exposes after every kind of event."""
    directory = tmp_path_factory.mktemp("exposed")
    # Nothing listens there: a failed delivery is an event too.
    siem = "http://127.0.0.1:1/"
    server = Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, siem_otlp_url=siem)
    server.env["AUTHZ_RUN_DIR"] = str(_made(directory / "run"))
    with server:
        for token in (None, "grd_live_" + "0" * 48, issuer.token(permissions=["catalog:read"])):
            with server.client(token) as client:
                client.get("/api/v1/teams")
                client.get("/api/v1/sources")
        assert eventually(lambda: "authz_siem_lag_seconds" in scrape(server, issuer).samples)
        yield scrape(server, issuer)


def _made(directory: Path) -> Path:
    directory.mkdir(mode=0o700)
    return directory


def test_each_query_of_the_alerts_matches_exposed_metrics(exposed: Scraped) -> None:
    assert len(list(of_alerts())) > 15
    assert {alert: found for alert, query in of_alerts() if (found := list(faults(query, exposed)))} == {}


def test_each_query_of_the_dashboard_matches_exposed_metrics(exposed: Scraped) -> None:
    assert len(list(of_dashboard())) > 40
    assert {title: found for title, query in of_dashboard() if (found := list(faults(query, exposed)))} == {}


def test_the_panels_of_the_dashboard_have_a_number_and_a_place_of_their_own() -> None:
    panels = json.loads((EXAMPLES / "dashboard.json").read_text())["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    places = [panel["gridPos"] for panel in panels]
    cells = [
        (place["x"] + across, place["y"] + down)
        for place in places
        for across in range(place["w"])
        for down in range(place["h"])
    ]
    assert len(cells) == len(set(cells))


def test_a_query_without_a_metric_is_reported(exposed: Scraped) -> None:
    wrong = {
        "rate(authz_decision_total[5m])": "no metric authz_decision_total",
        'rate(authz_decisions_total{route="/"}[5m])': "authz_decisions_total has no label route",
        'rate(authz_decisions_total{verdict="denied"}[5m])': "authz_decisions_total has no verdict denied",
        "sum by (route) (rate(authz_decisions_total[5m]))": "nothing below has a label route",
        "authz_decisions_total > 5": "authz_decisions_total counts, and is taken as it stands",
    }
    for query, fault in wrong.items():
        assert list(faults(query, exposed)) == [fault]


def test_each_metric_is_used_by_a_query(exposed: Scraped) -> None:
    queries = "\n".join(query for _, query in (*of_alerts(), *of_dashboard()))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in exposed.samples}
    assert {name for name in families if name not in queries} == {"process_virtual_memory_bytes"}


def test_the_scrape_configuration_is_that_of_its_page() -> None:
    config = yaml.safe_load((EXAMPLES / "prometheus.yaml").read_text())
    (job,) = config["scrape_configs"]
    shown = (EXAMPLES / "README.md").read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```yaml\n(.*?)```", shown, flags=re.DOTALL)
    assert yaml.safe_load(block)["scrape_configs"] == [job]
    assert config["rule_files"] == ["alerts.yaml"]
