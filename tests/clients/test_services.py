"""Services of several frameworks that ask about each request, with the token of its caller, over AuthZEN."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.node_packages import NODE, node_packages
from tests.support.server import ROOT, Server, eventually, free_port

FRAMEWORKS = ["fastapi", "litestar", "django", "express"]
ORDERS = """\
openapi: 3.1.0
info: {title: Orders, version: "1"}
servers: [{url: https://orders.example.com/v1}]
paths:
  /orders/{id}: {get: {}, delete: {}}
  /{kind}/{id}: {get: {}}
"""
ROWS = """\
p, catalog:read, orders:/v1/orders/**, GET, allow
p, catalog:write, orders:/v1/orders/**, DELETE, allow
p, holdings:read, orders:/v1/{kind}/{id}, GET, allow
p, user:user_boss, orders:/v1/orders/**, GET, allow
# end
"""
LIMIT = 10  # bad tokens of an address in a minute
ADDRESSES = (f"198.51.100.{number}" for number in count(1))  # one a framework: they share the server's budgets
EXPRESS = ROOT / "tests" / "clients" / "express"


@pytest.fixture(scope="module")
def pdp(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("pdp")
    server = Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, bad_credentials_per_minute=str(LIMIT))
    (server.policy_dir / "upstreams").mkdir()
    (server.policy_dir / "upstreams" / "orders.openapi.yaml").write_text(ORDERS)
    (server.policy_dir / "orders.csv").write_text(ROWS)
    with server:
        yield server


def express(port: int) -> list[object]:
    """The command of a service of Express."""
    return [NODE, EXPRESS / "service.mjs", node_packages(EXPRESS), ROOT / "scripts" / "clients", port]


@pytest.fixture(scope="module", params=FRAMEWORKS)
def service(request: pytest.FixtureRequest, pdp: Server, issuer: LiveIssuer) -> Iterator[str]:
    """The address of a running service."""
    port = free_port()
    if request.param == "express":
        command = express(port)
    else:
        command = [sys.executable, "-m", f"tests.clients.services.{request.param}_service", str(port)]
    token = issuer.token(sub="user_service", permissions=["decisions:evaluate", "tokens:introspect"])
    env = {**os.environ, "AUTHZEN_URL": pdp.url, "AUTHZEN_TOKEN": token}
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(url, timeout=20).status_code == 401
        except httpx.TransportError:
            return False

    with subprocess.Popen(list(map(str, command)), cwd=ROOT, env=env) as process:
        try:
            assert eventually(answers, 30), request.param
            yield url
        finally:
            process.terminate()


def test_a_service_knows_who_calls(service: str, pdp: Server, issuer: LiveIssuer) -> None:
    person = issuer.token(sub="user_boss", permissions=["catalog:read", "holdings:read"])
    with pdp.client(person) as client:
        issued = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["holdings:read"]}).json()
        reader = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()

    def get(token: str) -> httpx.Response:
        return httpx.get(f"{service}/v1/orders/7", headers={"Authorization": f"Bearer {token}"}, timeout=30)

    assert get(person).json() == {"order": "7", "type": "user", "id": "user_boss", "owner": ""}
    found = get(reader["plaintext"]).json()
    assert found == {"order": "7", "type": "key", "id": str(reader["api_key"]["id"]), "owner": "user_boss"}
    assert get(issued["plaintext"]).status_code == 403, "a row about its owner is not about the key"
    assert get(issuer.token(exp=1)).status_code == 401


def test_a_service_answers_as_the_decision_point_says(service: str, issuer: LiveIssuer) -> None:
    reader = {"Authorization": f"Bearer {issuer.token(permissions=['catalog:read'])}"}
    for method, path, headers, status, challenge in (
        ("GET", "/v1/orders/7", {}, 401, "Bearer"),
        ("GET", "/v1/orders/7", {"Authorization": "Basic eDp5"}, 401, "Bearer"),
        ("GET", "/v1/orders/7", {"Authorization": "Bearer x"}, 401, 'error="invalid_token"'),
        ("GET", "/v1/orders/7?a=b", reader, 200, ""),
        ("DELETE", "/v1/orders/7", reader, 403, 'scope="catalog:write"'),
        ("GET", "/v1/ORDERS/7", reader, 403, 'scope="holdings:read"'),
        ("GET", "/v1/nowhere", reader, 403, "insufficient_scope"),
        ("GET", "/v1/orders/..%2f7", reader, 403, "insufficient_scope"),
        ("GET", "/docs", reader, 403, "insufficient_scope"),
    ):
        answer = httpx.request(method, service + path, headers=headers, timeout=30)
        assert answer.status_code == status, (path, answer.text)
        assert challenge in answer.headers.get("www-authenticate", ""), path
        if status != 200:
            assert answer.json().keys() == {"detail"}
            assert answer.headers["cache-control"] == "no-store"
    other = {"Authorization": f"Bearer {issuer.token(permissions=['holdings:read'])}"}
    assert httpx.get(f"{service}/v1/ORDERS/7", headers=other, timeout=30).status_code == 404, (
        "not handled as /v1/orders"
    )
    connection = HTTPConnection(service.removeprefix("http://"), timeout=30)
    connection.request("GET", "/v1/orders/{id}", headers=reader)  # httpx would encode it
    assert connection.getresponse().status == 403
    connection.close()
    twice = [("Authorization", reader["Authorization"]), ("Authorization", "Bearer x")]
    assert httpx.get(f"{service}/v1/orders/7", headers=twice, timeout=30).status_code == 401


def test_beyond_the_budget_of_a_client_its_bad_tokens_are_429(service: str, issuer: LiveIssuer) -> None:
    address = next(ADDRESSES)

    def ask(token: str, client: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "X-Test-Client": client}
        return httpx.get(f"{service}/v1/orders/7", headers=headers, timeout=30)

    answers = [ask("x", address) for _ in range(LIMIT + 3)]
    assert {answer.status_code for answer in answers[:LIMIT]} == {401}
    last = answers[-1]
    assert (last.status_code, last.json()) == (429, {"detail": "Too many requests."})
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert "www-authenticate" not in last.headers
    assert ask("x", "203.0.113.9").status_code == 401
    assert ask(issuer.token(permissions=["catalog:read"]), address).status_code == 200


def test_express_that_ignores_case_is_refused(pdp: Server, issuer: LiveIssuer) -> None:
    port, asker = free_port(), issuer.token(sub="user_service", permissions=["decisions:evaluate", "tokens:introspect"])
    env = {**os.environ, "AUTHZEN_URL": pdp.url, "AUTHZEN_TOKEN": asker, "CASE": "insensitive"}
    reader = {"Authorization": f"Bearer {issuer.token(permissions=['holdings:read'])}"}
    found: list[int] = []

    def answers() -> bool:
        try:
            found.append(httpx.get(f"http://127.0.0.1:{port}/v1/ORDERS/7", headers=reader, timeout=20).status_code)
        except httpx.TransportError:
            return False
        return True

    with subprocess.Popen(list(map(str, express(port))), cwd=ROOT, env=env, stderr=subprocess.PIPE) as process:
        try:
            assert eventually(answers, 30)
        finally:
            process.terminate()
        assert process.stderr is not None
        assert b"case sensitive routing" in process.stderr.read()
    assert found == [503]
