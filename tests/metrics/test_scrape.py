"""Metrics of a real server: exact counts, and no labels from callers."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx

from app.http.door.budgets import BUDGET_REFUSALS
from app.http.door.server_refusals import SERVER_REFUSALS
from app.metrics.families import METRICS
from tests.metrics.scraped import Scraped, read, scrape
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server, eventually

TEAMS = "/api/v1/teams"


def send_requests(
    server: Server, path: str, token: str | None = None, times: int = 1, headers: dict[str, str] | None = None
) -> None:
    with server.client(token) as client:
        for _ in range(times):
            client.get(path, headers=headers)


def key_of(server: Server, issuer: LiveIssuer, *scopes: str) -> str:
    with server.client(issuer.token(permissions=list(scopes))) as client:
        plaintext: str = client.post("/api/v1/api-keys/", json={"name": "m", "scopes": scopes}).json()["plaintext"]
    return plaintext


def test_metrics_need_their_permission_and_accept_a_key(server: Server, issuer: LiveIssuer) -> None:
    assert httpx.get(f"{server.url}/metrics").status_code == 401
    with server.client(issuer.token(permissions=["decisions:read", "policies:read"])) as client:
        assert client.get("/metrics").status_code == 403
    with server.client(key_of(server, issuer, "metrics:read")) as client:
        answer = client.get("/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert answer.headers["cache-control"] == "no-store"
        open_metrics = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
        assert open_metrics.headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert open_metrics.text.endswith("# EOF\n")
        for odd in (
            "text/plain; version=needle",
            'application/openmetrics-text; version="1"; escaping=x',
            ";;,=",
            "*/*",
        ):
            answer = client.get("/metrics", headers={"Accept": odd})
            assert (answer.status_code, "needle" in str(answer.headers)) == (200, False)


def test_decisions_are_counted_by_route_verdict_and_reason(server: Server, issuer: LiveIssuer) -> None:
    before = scrape(server, issuer)
    send_requests(server, f"{TEAMS}/7", issuer.token(permissions=["catalog:read"]), times=3)
    send_requests(server, f"{TEAMS}/8", issuer.token(permissions=["holdings:read"]), times=2)
    send_requests(server, f"{TEAMS}/9")
    after = scrape(server, issuer)

    def more(name: str, **labels: str) -> float:
        return after(name, **labels) - before(name, **labels)

    one = {"resource": f"{TEAMS}/{{team_id}}", "door": "app"}
    assert more("authz_decisions_total", **one, verdict="allow", reason="allowed") == 3
    assert more("authz_decisions_total", **one, verdict="deny", reason="not_held") == 3
    assert more("authz_decisions_total", **one) == 6
    # Including the second scrape itself, which was decided before its answer.
    assert more("authz_decisions_total") == more("authz_decision_duration_seconds_count", door="app") == 7
    assert more("authz_decisions_total", resource="/metrics", verdict="allow") == 1
    route = {"route": one["resource"]}
    assert [more("authz_http_requests_total", **route, code=code) for code in ("404", "403", "401")] == [3, 2, 1]
    assert more("authz_http_request_duration_seconds_count", **route, **{"class": "4xx"}) == 6
    assert 0 < more("authz_http_request_duration_seconds_sum", **route) < 5


def test_bad_credentials_are_counted_by_their_fault(server: Server, issuer: LiveIssuer) -> None:
    before = scrape(server, issuer)
    for bad in (issuer.token(exp=1), issuer.token(exp=1), issuer.token(aud="other"), "grd_live_" + "0" * 48, "grd_x"):
        send_requests(server, TEAMS, bad)
    after = scrape(server, issuer)
    counted = {
        fault: after("authz_authentication_failures_total", door="app", fault=fault)
        - before("authz_authentication_failures_total", door="app", fault=fault)
        for fault in after.values("authz_authentication_failures_total", "fault")
    }
    expected = {"expired": 2, "audience": 1, "key_unknown": 1, "key_malformed": 1}
    assert {fault: count for fault, count in counted.items() if count} == expected
    assert after("authz_decisions_total", reason="expired") - before("authz_decisions_total", reason="expired") == 2


def test_no_text_of_a_caller_becomes_a_label(issuer: LiveIssuer, tmp_path: Path) -> None:
    secret = "s" * 32
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, gateway_secrets=secret) as server:
        token = issuer.token(permissions=["catalog:read", "decisions:evaluate"])
        for name in ("needle-1", "needle-2"):
            send_requests(server, f"/{name}/x", token)
            send_requests(server, f"{TEAMS}/{name}", token)
            gateway = {"X-Gateway-Secret": secret, "X-Original-Method": "GET", "X-Original-URI": f"/{name}"}
            for path in (f"/{name}", f"{TEAMS}/7"):
                send_requests(server, "/gateway/nginx", token, headers={**gateway, "X-Original-URI": path})
            send_requests(server, f"/gateway/{name}", token, headers=gateway)
            with server.client(token) as client:
                client.request(name.upper(), TEAMS)
                asks = (
                    ("route", f"/{name}", "GET"),
                    (name, name, name),
                    ("route", TEAMS, name),
                    ("route", TEAMS, "GET"),
                )
                for kind, identity, action in asks:
                    question = {
                        "subject": {"type": "user", "id": name},
                        "action": {"name": action},
                        "resource": {"type": kind, "id": identity},
                    }
                    assert client.post("/access/v1/evaluation", json=question).json() == {"decision": False}
        with server.client(issuer.token(permissions=["metrics:read"])) as client:
            text = client.get("/metrics").text
        found = read(text)
    assert "needle" not in text.lower()
    assert issuer.url not in text
    assert found("authz_http_requests_total", route="unmatched", code="404") == 2
    assert found("authz_http_requests_total", route="/gateway/{profile}") == 6
    nginx = {"door": "nginx"}
    assert found("authz_decisions_total", **nginx, resource="unknown", verdict="deny", reason="unruled") == 2
    assert found("authz_decisions_total", **nginx, resource=f"{TEAMS}/{{team_id}}", verdict="allow") == 2
    authzen = {"door": "authzen", "verdict": "deny"}
    assert found("authz_decisions_total", **authzen, resource="unknown") == 6
    assert found("authz_decisions_total", **authzen, resource=TEAMS, reason="not_held") == 2


def test_sampled_out_decisions_are_counted(issuer: LiveIssuer, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    with Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, decision_log_sample="0", key_cache_seconds="60"
    ) as server:
        key = key_of(server, issuer, "catalog:read")
        send_requests(server, TEAMS, key, times=5)
        send_requests(server, TEAMS)
        assert eventually(lambda: scrape(server, issuer)("authz_decision_log_written_total") == 1)
        found = scrape(server, issuer)
        assert found("authz_decisions_total", resource=TEAMS, verdict="allow") == 5
        assert found("authz_decision_log_sampled_out_total") == found("authz_decisions_total", verdict="allow")
        assert found("authz_decision_log_queued") == found("authz_decision_log_dropped_total") == 0
        assert found("authz_key_lookup_duration_seconds_count", outcome="found") == 1
        assert found("authz_cache_hits_total", cache="keys") == 4
        assert found("authz_cache_misses_total", cache="keys") == 1
        assert found("authz_cache_entries", cache="keys") == 1
        assert found("authz_cache_misses_total", cache="tokens") == found("authz_cache_entries", cache="tokens")

        # Reloads: a fault is refused, fixing it changes nothing, and a change is applied.
        rows = server.policy_dir / "catalog.csv"
        good = rows.read_text()
        revision = next(iter(found.values("authz_policy_info", "revision")))
        rows.write_text(good.replace("allow", "alow"))
        assert eventually(lambda: scrape(server, issuer)("authz_policy_refused") == 1)
        found = scrape(server, issuer)
        assert found("authz_policy_reloads_total", outcome="refused") == 1
        assert found.values("authz_policy_info", "revision") == {revision}
        misses = found("authz_cache_misses_total", cache="decisions")
        rows.write_text(good.replace("# end", "p, anyone, /api/v1/venues, GET, allow\n# end"))
        assert eventually(lambda: scrape(server, issuer)("authz_policy_reloads_total", outcome="swapped") == 1)
        found = scrape(server, issuer)
        assert found.values("authz_policy_info", "revision") != {revision}
        assert (found("authz_policy_refused"), found("authz_policy_age_seconds") < 5) == (0, True)
        assert found("authz_cache_misses_total", cache="decisions") > misses

        # A publish.
        with server.client(issuer.token(permissions=["policies:read", "policies:write"])) as client:
            wrong = {"files": {}, "parent": "0123456789abcdef", "message": "m"}
            wrong["files"] = {"permissions.toml": "# end\n"}
            assert client.post("/api/v1/policies/publish/", json=wrong).status_code == 409
            server.signal(signal.SIGHUP)
            assert eventually(lambda: scrape(server, issuer)("authz_policy_reloads_total", outcome="unchanged") > 0)
        assert scrape(server, issuer)("authz_policy_publishes_total", kind="publish", outcome="stale") == 1


def test_every_metric_has_a_type_and_is_on_its_page(server: Server, issuer: LiveIssuer) -> None:
    send_requests(server, TEAMS)
    assert eventually(lambda: "authz_policy_failing_cases" in scrape(server, issuer).samples)
    found = scrape(server, issuer)
    # Those of an export are exposed where there is one: see test_queries.
    plain = {name for name in METRICS if name != "authz_worker_silent_seconds" and not name.startswith("authz_siem_")}
    assert {_family(name, found) for name in found.samples} == plain
    for name, metric in METRICS.items():
        assert found.types.get(name, metric.kind) == metric.kind, name
    for name in found.samples:
        metric = METRICS[_family(name, found)]
        assert found.labels(name) - {"le"} <= set(metric.labels), name
    shown = (ROOT / "scripts/observability/README.md").read_text().partition("\n## Metrics\n")[2].partition("\n## ")[0]
    for metric in METRICS.values():
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        assert f"| `{metric.name}` | {labels} | {metric.meaning.rstrip('.')} |" in shown, metric.name
    for word in (*BUDGET_REFUSALS, *SERVER_REFUSALS):
        assert f"`{word}`" in shown, word


def _family(name: str, found: Scraped) -> str:
    if found.types[name] == "histogram":
        return name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum")
    return name


def test_neither_library_is_loaded_before_it_is_needed() -> None:
    load = "import app.asgi, sys; print([n for n in ('prometheus_client', 'opentelemetry') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", load], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
