"""The decision log of a real server under load: what is lost is recorded, and nothing of known callers is."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

EVALUATIONS = "/access/v1/evaluations"
EXPORT = "/api/v1/decisions/export"
PIPELINED = 16
BATCH: dict[str, Any] = {
    "subject": {"type": "user", "id": "user_b", "properties": {"permissions": ["catalog:read"]}},
    "action": {"name": "GET"},
    "resource": {"type": "route", "id": "/api/v1/teams/7"},
    "evaluations": [{}] * 1_000,
}


def flood(server: Server, over: threading.Event) -> None:
    """Send requests without credentials, many at once, until it is over."""
    url = urlsplit(server.url)
    assert url.port
    sent = b"GET /api/v1/teams HTTP/1.1\r\nHost: a\r\n\r\n" * PIPELINED
    with socket.create_connection((url.hostname, url.port)) as connection, suppress(OSError):
        while not over.is_set():
            connection.sendall(sent)
            answers = 0
            while answers < PIPELINED:
                answers += connection.recv(100_000).count(b"HTTP/1.1 401 ")


def evaluate(server: Server, token: str, over: threading.Event, statuses: set[int]) -> None:
    with server.client(token) as client, suppress(httpx.HTTPError):
        while not over.is_set():
            statuses.add(client.post(EVALUATIONS, json=BATCH).status_code)


def test_no_request_of_a_known_caller_is_lost_in_floods(own_server: Server, issuer: LiveIssuer) -> None:
    over, statuses = threading.Event(), set[int]()
    tokens = [issuer.token(sub=f"user_{number}", permissions=["decisions:evaluate"]) for number in range(4)]
    threads = [threading.Thread(target=flood, args=(own_server, over)) for _ in range(24)]
    threads += [threading.Thread(target=evaluate, args=(own_server, token, over, statuses)) for token in tokens]
    for thread in threads:
        thread.start()
    known = issuer.token(sub="user_known", permissions=["catalog:read"])
    with own_server.client(known) as client:
        for number in range(100):
            path = "/api/v1/teams/" if number % 2 else "/api/v1/sources/"
            client.get(path, headers={"X-Request-ID": f"marked-{number}"})
    over.set()
    for thread in threads:
        thread.join()
    assert statuses <= {200, 503}
    with own_server.client(issuer.token(permissions=["decisions:read"])) as reader:

        def marked() -> set[str]:
            lines = reader.get(EXPORT, params={"subject": "user_known"}, timeout=60).text.splitlines()
            return {json.loads(line)["request_id"] for line in lines}

        assert eventually(lambda: len(marked()) == 100, 20)
        health = reader.get("/api/v1/decisions/health").json()
        assert health["dropped"] == 0, health
        lines = reader.get(EXPORT, params={"route": "/api/v1/teams", "verdict": "deny"}, timeout=60).text.splitlines()
        strangers = [row for row in map(json.loads, lines) if row["method"] == "anonymous"]
        assert sum(row["count"] for row in strangers) > 5 * len(strangers)


def test_a_loss_of_decisions_is_reported_everywhere(own_server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["decisions:evaluate", "decisions:read", "metrics:read"])
    database = own_server.directory / "authz.db"
    with own_server.client(token) as client:
        assert httpx.get(f"{own_server.url}/readyz").json()["checks"]["decision_log"] == {
            "ok": True,
            "dropped": {"known": 0, "authzen": 0, "anonymous": 0},
            "last_drop": None,
            "deleted": {"known": 0, "authzen": 0, "anonymous": 0},
            "last_deletion": None,
        }
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("ALTER TABLE decision_rows RENAME TO away")
            connection.commit()
        assert eventually(lambda: client.get("/api/v1/decisions/health").json()["error"] is not None)
        for _ in range(13):
            assert client.post(EVALUATIONS, json=BATCH).status_code == 200, "a writer that fails ends no service"
        line = own_server.wait_for_log(lambda entry: entry.get("event") == "decisions were dropped")
        assert line["classes"].keys() == {"authzen"}
        assert "no such table" in line["error"]
        ready = httpx.get(f"{own_server.url}/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        check = ready.json()["checks"]["decision_log"]
        lost = check["dropped"]["authzen"]
        assert (check["ok"], check["dropped"]["known"], check["dropped"]["anonymous"]) == (False, 0, 0)
        assert lost >= 1_000
        metrics = client.get("/metrics").text
        assert f'authz_decision_log_dropped_total{{class="authzen"}} {lost}' in metrics
        assert 'authz_decision_log_dropped_total{class="known"} 0' in metrics
        health = client.get("/api/v1/decisions/health").json()
        assert (health["classes"]["authzen"]["dropped"], health["deleted"], health["last_deletion"]) == (lost, 0, None)
        last_drop = datetime.fromisoformat(health["last_drop"])
        assert last_drop == datetime.fromtimestamp(health["last_drop_at"] // 1_000_000, UTC).replace(
            microsecond=health["last_drop_at"] % 1_000_000
        )
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("ALTER TABLE away RENAME TO decision_rows")
            connection.commit()

        def first() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(client.get(EXPORT).text.split("\n")[0] or "{}")
            return found

        assert eventually(lambda: "dropped" in first(), 20)
        assert (first()["dropped"]["decision_class"], first()["dropped"]["count"]) == ("authzen", lost)
        assert check["last_drop"] is not None


def test_decisions_that_are_deleted_by_size_are_reported_everywhere(issuer: LiveIssuer, tmp_path: Path) -> None:
    token = issuer.token(permissions=["decisions:evaluate", "decisions:read", "metrics:read"])
    limited = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, decision_log_max_bytes="1000000")
    with limited as server, server.client(token) as client:
        for number in range(4):
            items = [{"resource": {"type": "record", "id": f"{number}-{item}"}} for item in range(1_000)]
            assert client.post(EVALUATIONS, json={**BATCH, "evaluations": items}).status_code == 200

        def deleted() -> int:
            check = httpx.get(f"{server.url}/readyz").json()["checks"]["decision_log"]
            return int(check["deleted"]["authzen"])

        def is_settled() -> bool:
            before = deleted()
            time.sleep(1.2)
            return 2_000 < before == deleted()

        assert eventually(is_settled, 20)
        ready = httpx.get(f"{server.url}/readyz").json()
        check = ready["checks"]["decision_log"]
        assert (ready["status"], check["ok"], check["deleted"]["known"]) == ("ready", True, 0)
        lines = [json.loads(line) for line in client.get(EXPORT).text.splitlines()]
        found = lines[0]["deleted"]
        assert (found["decision_class"], found["count"], found["deleted"]) == (
            "authzen",
            deleted(),
            check["last_deletion"],
        )
        health = client.get("/api/v1/decisions/health").json()
        assert (health["deleted"], health["last_deletion"]) == (found["count"], found["deleted"])
        assert {name: each["deleted"] for name, each in health["classes"].items()} == check["deleted"]
        assert (health["dropped"], health["last_drop"], health["retention_days"]) == (0, None, 30)
        of_items = [line for line in lines[1:] if line["door"] == "authzen"]
        assert len(of_items) == 4_000 - found["count"]
        assert min(line["id"] for line in of_items) > found["last_id"]
        assert found["first"] <= found["last"] <= of_items[0]["time"]
        metrics = client.get("/metrics").text
        assert f'authz_decision_log_deleted_total{{class="authzen"}} {found["count"]}' in metrics
        assert 'authz_decision_log_max_bytes{class="authzen"} 375000' in metrics
        line = server.wait_for_log(lambda entry: "log was too large" in entry.get("event", ""))
        assert line["classes"].keys() == {"authzen"}
        printed = command("decisions", "export", "--since", "1h", env=server.env)
        assert f"{found['count']:,} decisions were deleted" in printed.stderr
        assert json.loads(printed.stdout.split("\n")[0]) == lines[0]
