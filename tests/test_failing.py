"""Failures of dependencies: the answers of each door, and recovery."""

from __future__ import annotations

import re
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.console.sessions import sign_in
from tests.support.breakable import BreakablePostgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import ROOT, Server, eventually, free_port

EVERYTHING = "catalog:read policies:read decisions:read decisions:evaluate tokens:introspect"
SECRET = "a-gateway-of-these-tests-and-of-no-other"
AWAY = {"detail": "The database does not answer now."}
KEYS_AWAY = {"detail": "API keys cannot be verified now."}
# Each row of the table of failures in scripts/deploy/README.md, with its tests.
PROVEN = {
    "PostgreSQL is down": ["tests/test_failing.py::test_tokens_work_while_postgresql_is_down_or_hangs"],
    "PostgreSQL hangs": ["tests/test_failing.py::test_tokens_work_while_postgresql_is_down_or_hangs"],
    "PostgreSQL takes no writes, as an old primary": [
        "tests/test_trials.py::test_a_server_follows_its_address_to_a_new_primary"
    ],
    "The disk of the database is full, or on SQLite almost": [
        "tests/db/test_disk.py::test_keys_can_be_revoked_on_a_full_disk"
    ],
    "SQLite is locked by another program": ["tests/test_failing.py::test_a_locked_sqlite_database_is_unavailable"],
    "The issuer does not answer": [
        "tests/test_failing.py::test_without_the_issuer_cached_signing_keys_and_api_keys_work",
        "tests/identity/test_jwks.py::test_keys_bridge_an_outage_up_to_a_maximum_age",
    ],
    "The database is unavailable at startup": [
        "tests/test_failing.py::test_a_start_without_the_database_is_refused_with_a_reason"
    ],
    "The issuer is unavailable at startup": [
        "tests/test_failing.py::test_without_the_issuer_cached_signing_keys_and_api_keys_work"
    ],
    "A policy file has a fault": [
        "tests/http/api/test_reload.py::test_a_bad_policy_never_replaces",
        "tests/cli/server/test_workers.py::test_a_policy_with_a_fault",
    ],
    "A [SIEM](siem.md) does not accept the logs": [
        "tests/siem/test_export.py::test_a_destination_that_fails_holds_up_neither_requests_nor_the_other_one"
    ],
    "A worker dies": [
        "tests/cli/server/test_workers.py::test_a_dead_worker_is_replaced_and_all_workers_apply_a_new_policy"
    ],
    "A worker hangs": ["tests/cli/server/test_workers.py::test_a_hanging_worker_is_replaced"],
    "A process is killed": ["tests/test_trials.py::test_no_acknowledged_write_is_lost_by_a_kill"],
}


def test_every_row_of_the_table_has_its_tests() -> None:
    page = (ROOT / "scripts/deploy/README.md").read_text()
    section = page.partition("\n## When something fails\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", section, flags=re.MULTILINE)
    assert rows[2:] == list(PROVEN)
    for tests in PROVEN.values():
        for test in tests:
            path, _, name = test.partition("::")
            assert f"def {name or 'test_'}" in (ROOT / path).read_text(), test


def served(directory: Path, issuer: LiveIssuer, url: str) -> Server:
    return Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        database_url=url,
        database_timeout_seconds="1",
        gateway_secrets=SECRET,
        console_client_id="console",
        console_url="http://127.0.0.1",
    )


def call(server: Server, token: str, method: str, path: str, **more: object) -> httpx.Response:
    with server.client(token) as client:
        return client.request(method, path, **more)  # type: ignore[arg-type]  # what httpx takes


def through_a_gateway(server: Server, token: str) -> httpx.Response:
    headers = {"X-Gateway-Secret": SECRET, "X-Original-Method": "GET", "X-Original-URI": "/api/v1/teams/7"}
    return call(server, token, "GET", "/gateway/nginx", headers=headers)


@pytest.mark.parametrize("how", ["down", "hanging"])
def test_tokens_work_while_postgresql_is_down_or_hangs(
    how: str, breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    server = served(tmp_path, issuer, breakable.new())
    jwt = issuer.token(permissions=EVERYTHING)
    about_a_key = {
        "subject": {"type": "key", "id": "1"},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": "/api/v1/teams"},
    }
    about_a_user = {**about_a_key, "subject": {"type": "user", "id": "user_1"}}
    with server, ThreadPoolExecutor(12) as pool:
        issued = call(server, jwt, "POST", "/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]})
        key = issued.json()["plaintext"]
        person = sign_in(server)
        assert call(server, key, "GET", "/api/v1/teams/").status_code == 200
        breakable.stop() if how == "down" else breakable.pause()
        try:
            time.sleep(1.0)  # as long as a key is cached
            questions = {
                "policies": pool.submit(call, server, jwt, "GET", "/api/v1/policies/"),
                "gateway": pool.submit(through_a_gateway, server, jwt),
                "user": pool.submit(call, server, jwt, "POST", "/access/v1/evaluation", json=about_a_user),
                "teams": pool.submit(call, server, jwt, "GET", "/api/v1/teams/"),
                "keys": pool.submit(call, server, jwt, "POST", "/api/v1/api-keys/", json={"name": "other"}),
                "key": pool.submit(call, server, key, "GET", "/api/v1/teams/"),
                "key at a gateway": pool.submit(through_a_gateway, server, key),
                "introspected": pool.submit(call, server, jwt, "POST", "/oauth/introspect", data={"token": key}),
                "key over AuthZEN": pool.submit(call, server, jwt, "POST", "/access/v1/evaluation", json=about_a_key),
                "ready": pool.submit(call, server, jwt, "GET", "/readyz"),
                "page": pool.submit(person.get, "/console/keys"),
            }
            started = time.monotonic()
            answers = {name: question.result() for name, question in questions.items()}
            assert time.monotonic() - started < 8
        finally:
            breakable.start() if how == "down" else breakable.resume()
        statuses = {name: answer.status_code for name, answer in answers.items()}
        assert statuses == {
            **dict.fromkeys(("policies", "gateway", "user", "ready"), 200),
            **dict.fromkeys(("teams", "keys", "key", "introspected", "key over AuthZEN", "page"), 503),
            "key at a gateway": 403,
        }
        for name in ("teams", "keys", "key", "introspected", "key over AuthZEN", "page", "key at a gateway"):
            assert answers[name].headers["retry-after"] == "1", name
        # A load balancer must not remove all replicas.
        ready = answers["ready"].json()
        assert (ready["status"], ready["checks"]["database"]["ok"]) == ("degraded", False)
        assert (answers["teams"].json(), answers["keys"].json()) == (AWAY, AWAY)
        assert (answers["key"].json(), answers["key at a gateway"].json()) == (KEYS_AWAY, KEYS_AWAY)
        assert answers["page"].headers["content-type"].startswith("text/html")
        assert eventually(lambda: call(server, key, "GET", "/api/v1/teams/").status_code == 200, 5)
        assert eventually(lambda: call(server, jwt, "GET", "/readyz").json()["status"] == "ready", 5)
        # Decisions during the outage were queued, and are now in the log.
        denied = "/api/v1/decisions/?verdict=deny"
        assert eventually(lambda: "nginx" in call(server, jwt, "GET", denied).text, 5)
    assert not [entry for entry in server.log if "exception" in entry]


def test_a_locked_sqlite_database_is_unavailable(issuer: LiveIssuer, tmp_path: Path) -> None:
    own_server = served(tmp_path, issuer, f"sqlite:///{tmp_path / 'authz.db'}")
    jwt = issuer.token(permissions=EVERYTHING)
    with own_server, closing(sqlite3.connect(tmp_path / "authz.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = call(own_server, jwt, "POST", "/api/v1/api-keys/", json={"name": "k"})
        assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, AWAY, "1")
        assert call(own_server, jwt, "GET", "/api/v1/teams/").status_code == 200  # readers do not wait
        other.execute("ROLLBACK")
        assert call(own_server, jwt, "POST", "/api/v1/api-keys/", json={"name": "k"}).status_code == 201


def test_a_start_without_the_database_is_refused_with_a_reason(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = served(tmp_path, issuer, f"postgresql://operator:secret-word@127.0.0.1:{free_port()}/authz")
    with pytest.raises(RuntimeError):
        server.start()
    said = "\n".join(server.lines)
    assert "the database cannot be used: nothing listens at 127.0.0.1:" in said
    assert "secret-word" not in said
    assert "Traceback" not in said
    assert server.process
    assert server.process.poll() == 1


def test_without_the_issuer_cached_signing_keys_and_api_keys_work(tmp_path: Path) -> None:
    with LiveIssuer() as own:
        server = served(tmp_path, own, f"sqlite:///{tmp_path / 'authz.db'}")
        token = own.token(permissions=EVERYTHING)
        with server:
            issued = call(server, token, "POST", "/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]})
            key = issued.json()["plaintext"]
            own.answer = lambda: (500, b"")
            assert call(server, own.token(permissions=EVERYTHING), "GET", "/api/v1/teams/").status_code == 200
        server.lines.clear()
        with server:
            assert call(server, key, "GET", "/api/v1/teams/").status_code == 200
            answer = call(server, token, "GET", "/api/v1/teams/")
            assert (answer.status_code, answer.json()) == (503, {"detail": "Signing keys are unavailable."})
            assert 1 <= int(answer.headers["retry-after"]) <= 10
            assert through_a_gateway(server, token).status_code == 403
            ready = call(server, key, "GET", "/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert {name for name, check in ready.json()["checks"].items() if not check["ok"]} == {"key_set"}


def test_a_server_is_not_ready_only_if_no_credential_can_be_verified(
    breakable: BreakablePostgres, tmp_path: Path
) -> None:
    with LiveIssuer() as own:
        own.answer = lambda: (500, b"")
        with served(tmp_path, own, breakable.new()) as server, server.client() as client:

            def ready() -> tuple[int, str]:
                answer = client.get("/readyz")
                return answer.status_code, answer.json()["status"]

            assert ready() == (200, "degraded")
            breakable.stop()
            try:
                assert eventually(lambda: ready() == (503, "not ready"))
                assert client.get("/healthz").status_code == 200
            finally:
                breakable.start()
            assert eventually(lambda: ready() == (200, "degraded"))
