"""Traces as a collector receives them: spans with decisions, parents, and no secrets."""

from __future__ import annotations

import time
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.http.collector import Collector, attributes
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually, free_port

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TEAMS = "/api/v1/teams"
SECRET = "needle" * 6


def traced(issuer: LiveIssuer, directory: Path, endpoint: str, sample: str = "1") -> Server:
    server = Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        otlp_endpoint=endpoint,
        trace_sample=sample,
        gateway_secrets=SECRET,
    )
    server.env["OTEL_BSP_SCHEDULE_DELAY"] = "50"  # milliseconds
    server.env["OTEL_EXPORTER_OTLP_TIMEOUT"] = "1"  # seconds
    return server


def test_a_span_has_the_decision_and_no_secret(issuer: LiveIssuer, tmp_path: Path) -> None:
    with Collector() as collector, traced(issuer, tmp_path, collector.url) as server:
        token = issuer.token(permissions=["catalog:read"])
        with server.client(token) as client:
            key = client.post("/api/v1/api-keys/", json={"name": "t", "scopes": ["catalog:read"]}).json()["plaintext"]
            taken_over = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "a=needle"}
            client.get(f"{TEAMS}/needle-1?needle=2", headers=taken_over)
            client.get("/api/v1/sources", headers={"X-Needle": "needle"})
            client.get("/needle-3")
            gateway = {"X-Gateway-Secret": SECRET, "X-Original-Method": "GET", "X-Original-URI": f"{TEAMS}/needle-4"}
            assert client.get("/gateway/nginx", headers=gateway).status_code == 200
        with server.client(key) as client:
            client.get(TEAMS)
        with server.client(issuer.token(exp=1)) as client:
            client.get(TEAMS)
        assert eventually(lambda: len(collector.spans()) >= 9)
        one = f"GET {TEAMS}/{{team_id}}"
        (taken,) = collector.spans(one)
        assert (taken.trace_id.hex(), taken.parent_span_id.hex()) == (TRACE, CALLER)
        assert taken.kind == Span.SPAN_KIND_SERVER
        revision = attributes(taken).pop("authz.revision")
        assert len(revision) == 16
        assert attributes(taken) == {
            "http.request.method": "GET",
            "http.route": f"{TEAMS}/{{team_id}}",
            "http.response.status_code": 404,
            "authz.door": "app",
            "authz.resource": f"{TEAMS}/{{team_id}}",
            "authz.principal.method": "jwt",
            "authz.decision": "allow",
            "authz.reason": "a rule allows it",
            "authz.revision": revision,
        }
        (denied,) = collector.spans("GET /api/v1/sources")
        assert denied.trace_id.hex() != TRACE
        assert not denied.parent_span_id
        assert (attributes(denied)["http.response.status_code"], attributes(denied)["authz.decision"]) == (403, "deny")
        (nowhere,) = collector.spans("GET")
        assert attributes(nowhere) == {"http.request.method": "GET", "http.response.status_code": 404}

        (asked,) = collector.spans("GET /gateway/{profile}")
        assert attributes(asked)["authz.door"] == "nginx"
        assert attributes(asked)["authz.resource"] == f"{TEAMS}/{{team_id}}"

        by_key, expired = collector.spans(f"GET {TEAMS}")
        assert attributes(by_key)["authz.principal.method"] == "api_key"
        assert attributes(expired)["authz.principal.method"] == "unknown"
        assert attributes(expired)["authz.reason"] == "Token has expired."
        (look_up,) = collector.spans("look up API key")
        assert (look_up.trace_id, look_up.parent_span_id) == (by_key.trace_id, by_key.span_id)
        fetches = collector.spans("fetch signing keys")
        assert len(fetches) == 1

        for secret in (b"needle", b"eyJhbG", b"grd_", b"user_test", issuer.url.encode()):
            assert secret not in collector.bodies
        (resource,) = {str(request.resource_spans[0].resource) for request in collector.requests}
        assert "griddy-authz" in resource
        line = server.wait_for_log(lambda entry: entry.get("trace_id") == TRACE)
        assert line["span_id"] == taken.span_id.hex()


def test_the_fetch_of_a_key_is_a_child_span_of_the_waiting_request(issuer: LiveIssuer, tmp_path: Path) -> None:
    with Collector() as collector, traced(issuer, tmp_path, collector.url, sample="0") as server:
        header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        with server.client(issuer.token(kid="another")) as client:
            assert client.get(TEAMS, headers=header).json() == {"detail": "Invalid signature."}
            # Not sampled by the caller, not sampled here, or repeated, which is invalid.
            client.get(TEAMS, headers={"traceparent": f"00-{TRACE}-{CALLER}-00"})
            client.get(TEAMS)
            client.get(TEAMS, headers=[("traceparent", header["traceparent"])] * 2)
        assert eventually(lambda: len(collector.spans()) >= 2)
        server.stop()
        request, fetch = sorted(collector.spans(), key=lambda span: span.name)
        assert (fetch.name, fetch.trace_id, fetch.parent_span_id) == (
            "fetch signing keys",
            request.trace_id,
            request.span_id,
        )
        lines = [entry for entry in server.log if entry.get("event") == "request"]
        assert [entry["trace_id"] == TRACE for entry in lines] == [True, True, False, False]
        assert all(len(entry["span_id"]) == 16 for entry in lines)


def test_an_unavailable_collector_is_logged_once_and_recovers(issuer: LiveIssuer, tmp_path: Path) -> None:
    port = free_port()
    with traced(issuer, tmp_path, f"http://127.0.0.1:{port}") as server:
        for _ in range(5):
            with server.client() as client:
                began = time.monotonic()
                assert client.get("/healthz").status_code == 200
                assert time.monotonic() - began < 2
        away = "traces do not reach the collector, and are dropped"
        told = server.wait_for_log(lambda entry: entry.get("event") == away, 20)
        assert told["error"]
        with Collector(port) as collector:
            with server.client() as client:
                assert eventually(lambda: client.get("/healthz").is_success and bool(collector.spans()), 20)
            server.wait_for_log(lambda entry: entry.get("event") == "traces reach the collector again")
        began = time.monotonic()
        with server.client() as client:
            client.get("/healthz")
        server.stop()
        assert time.monotonic() - began < 5
    events = [entry.get("event", "") for entry in server.log]
    assert len([event for event in events if "collector" in event]) <= 3
    assert not [event for event in events if event.startswith(("Transient", "Failed", "Queue"))]
    assert not [line for line in server.lines if "Traceback" in line]


def test_without_a_collector_the_access_line_has_the_trace_id_of_the_caller(server: Server) -> None:
    with server.client() as client:
        client.get("/healthz", headers={"traceparent": f"00-{TRACE[::-1]}-{CALLER}-01"})
        client.get("/healthz", headers={"traceparent": "00-needle-01"})
    line = server.wait_for_log(lambda entry: entry.get("trace_id") == TRACE[::-1])
    assert "span_id" not in line
    assert not any("needle" in text for text in server.lines)
