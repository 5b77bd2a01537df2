"""Refusals beyond a budget over HTTP, by a real server with small budgets."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.console.sessions import sign_in
from tests.http.door.test_errors_contract import TEAMS
from tests.metrics.scraped import scrape
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import AUTHZ, Server, eventually, free_port

TOO_MANY = {"detail": "Too many requests."}
GATEWAY = "a-secret-of-the-gateway-that-is-long"
LIMIT = 20
EVALUATION: dict[str, Any] = {
    "subject": {"type": "user", "id": "a"},
    "action": {"name": "GET"},
    "resource": {"type": "route", "id": "/"},
}


@pytest.fixture(scope="module")
def small(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    port = free_port()
    with Server(
        tmp_path_factory.mktemp("budgets"),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        trusted_proxies="127.0.0.1",
        gateway_secrets=GATEWAY,
        console_client_id="console",
        command=(str(AUTHZ), "serve", "--port", str(port)),
        console_url=f"http://127.0.0.1:{port}",
        bad_credentials_per_minute=str(LIMIT),
        key_issues_per_minute="5",
    ) as started:
        yield started


def ask(
    server: Server, token: str | None, client: str | None, path: str = TEAMS, method: str = "GET"
) -> httpx.Response:
    headers = {"X-Forwarded-For": client} if client else {}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.request(
        method, server.url + path, headers=headers, json=EVALUATION if method == "POST" else None, timeout=20
    )


def spend(server: Server, client: str | None, token: str = "abc") -> httpx.Response:
    """The first answer that is not 401."""
    for _ in range(LIMIT + 5):
        answer = ask(server, token, client)
        if answer.status_code != 401:
            return answer
    raise AssertionError("every answer was 401")


def assert_beyond(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()) == (429, TOO_MANY)
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["content-type"] == "application/json"
    assert "www-authenticate" not in answer.headers


def bad_tokens(issuer: LiveIssuer, untrusted_issuer: LiveIssuer) -> Iterator[str]:
    while True:
        yield from (
            "abc",
            untrusted_issuer.token(kid=issuer.kid),
            issuer.token(exp=1),
            f"grd_live_{secrets.token_hex(24)}",
            "grd_live_",
            "a b",
        )


def test_bad_credentials_of_any_kind_are_429_beyond_the_budget_of_their_address(
    small: Server, issuer: LiveIssuer, untrusted_issuer: LiveIssuer
) -> None:
    answers = Counter[int]()
    tokens = bad_tokens(issuer, untrusted_issuer)
    for _ in range(LIMIT + 6):
        answer = ask(small, next(tokens), "192.0.2.1")
        answers[answer.status_code] += 1
    assert_beyond(answer)
    assert LIMIT <= answers[401] <= LIMIT + 3  # a few seconds may free one
    assert set(answers) == {401, 429}
    # Other addresses have their own budgets, and a header of the client itself is ignored.
    assert ask(small, "abc", "192.0.2.2").status_code == 401
    assert_beyond(ask(small, "abc", "198.51.100.9, 192.0.2.1"))
    assert_beyond(ask(small, "abc", "192.0.2.1", "/access/v1/evaluation", "POST"))


def test_a_good_credential_is_accepted_although_its_address_has_spent_its_budget(
    small: Server, issuer: LiveIssuer
) -> None:
    with small.client(issuer.token(sub="user_shared", permissions=["catalog:read"])) as client:
        key = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()["plaintext"]
    spend(small, "192.0.2.3")
    for _ in range(3):
        new = issuer.token(sub=f"user_{secrets.token_hex(4)}", permissions=["catalog:read"])
        assert ask(small, new, "192.0.2.3").status_code == 200
        assert ask(small, key, "192.0.2.3").status_code == 200
        assert ask(small, issuer.token(permissions=[]), "192.0.2.3").status_code == 403
        assert ask(small, None, "192.0.2.3").status_code == 401
        assert ask(small, None, "192.0.2.3", "/healthz").status_code == 200
        assert_beyond(ask(small, "abc", "192.0.2.3"))


def test_addresses_of_one_ipv6_network_share_a_budget(small: Server) -> None:
    spend(small, "2001:db8:7:7::1")
    assert_beyond(ask(small, "abc", "2001:db8:7:7:ffff:1:2:3"))
    assert ask(small, "abc", "2001:db8:7:8::1").status_code == 401


def at_gateway(server: Server, token: str, client: str | None) -> httpx.Response:
    headers = {
        "X-Gateway-Secret": GATEWAY,
        "X-Original-Method": "GET",
        "X-Original-URI": "/api/v1/teams",
        "Authorization": f"Bearer {token}",
        **({"X-Original-IP": client} if client else {}),
    }
    return httpx.get(f"{server.url}/gateway/nginx", headers=headers, timeout=20)


def test_a_gateway_gets_403_and_each_client_has_its_own_budget(small: Server, issuer: LiveIssuer) -> None:
    answers = [at_gateway(small, "abc", "192.0.2.10") for _ in range(LIMIT + 5)]
    assert {answer.status_code for answer in answers} == {401, 403}
    beyond = answers[-1]
    assert (beyond.status_code, beyond.json()) == (403, TOO_MANY)
    assert 1 <= int(beyond.headers["retry-after"]) <= 60
    assert beyond.headers["x-auth-reason"] == TOO_MANY["detail"]
    assert at_gateway(small, "abc", "192.0.2.11").status_code == 401
    good = issuer.token(permissions=["catalog:read"])
    assert at_gateway(small, good, "192.0.2.10").status_code == 200
    # Unknown clients are not refused for each other.
    assert {at_gateway(small, "abc", None).status_code for _ in range(LIMIT + 5)} == {401}


def relay(server: Server, service: str, token: str, ip: object = None) -> dict[str, Any]:
    """The context of the answer to a service that asks about a token."""
    body = {**EVALUATION, "subject": {"type": "token", "id": token}, "resource": {"type": "route", "id": TEAMS}}
    if ip is not None:
        body["context"] = {"ip": ip}
    headers = {"Authorization": f"Bearer {service}"}
    answer = httpx.post(f"{server.url}/access/v1/evaluation", json=body, headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    context: dict[str, Any] = answer.json()["context"]
    return context


def service_token(issuer: LiveIssuer) -> str:
    permissions = ["decisions:evaluate", "tokens:introspect"]
    return issuer.token(sub=f"user_service_{secrets.token_hex(4)}", permissions=permissions)


@pytest.mark.parametrize("kind", ["malformed", "unknown", "expired"])
def test_a_service_states_who_sent_bad_tokens_and_each_sender_has_a_budget(
    small: Server, issuer: LiveIssuer, kind: str
) -> None:
    service, sender = service_token(issuer), f"192.0.2.{40 + ('malformed', 'unknown', 'expired').index(kind)}"

    def bad() -> str:
        made = {
            "malformed": "grd_live_",
            "unknown": f"grd_live_{secrets.token_hex(24)}",
            "expired": issuer.token(exp=1),
        }
        return made[kind]

    found = [relay(small, service, bad(), sender) for _ in range(LIMIT + 5)]
    assert {each["status"] for each in found[:LIMIT]} == {401}
    assert found[-1].keys() == {"status", "retry_after"}
    assert (found[-1]["status"], 1 <= found[-1]["retry_after"] <= 60) == (429, True)
    assert relay(small, service_token(issuer), bad(), f"{sender}:4321")["status"] == 429, "whichever service asks"
    assert_beyond(ask(small, "abc", sender))
    good = issuer.token(sub=f"user_{secrets.token_hex(4)}", permissions=["catalog:read"])
    assert relay(small, service, good, sender)["status"] == 200
    for other in ("192.0.2.60", None, "", "unknown", 7, ["192.0.2.1"], "1" * 1000):
        assert relay(small, service, bad(), other)["status"] == 401, other


def test_of_unknown_senders_only_invented_tokens_count_for_the_service(small: Server, issuer: LiveIssuer) -> None:
    service = service_token(issuer)
    for bad in ("grd_live_", "abc", issuer.token(exp=1)):
        assert {relay(small, service, bad)["status"] for _ in range(LIMIT + 5)} == {401}
    with small.client(issuer.token(sub="user_ends", permissions=["catalog:read"])) as client:
        revoked = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()
        client.post(f"/api/v1/api-keys/{revoked['api_key']['id']}/revoke/")
        good = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()["plaintext"]
    starts = ("grd_live_", "grd_oat_")
    found = [relay(small, service, starts[at % 2] + secrets.token_hex(24))["status"] for at in range(LIMIT + 5)]
    assert (set(found[:LIMIT]), found[-1]) == ({401}, 429)
    assert relay(small, service, good)["status"] == 200, "which was never looked up before"
    assert relay(small, service, revoked["plaintext"])["status"] == 401
    assert relay(small, service, issuer.token(exp=1))["status"] == 401
    assert relay(small, service_token(issuer), "grd_live_" + secrets.token_hex(24))["status"] == 401


def test_a_flood_of_one_sender_takes_nothing_from_the_others_of_a_service(small: Server, issuer: LiveIssuer) -> None:
    service, method = service_token(issuer), f"FLOOD{secrets.token_hex(4)}"
    subject = f"user_{secrets.token_hex(4)}"

    def send(number: int) -> int:
        good = number % 20 == 0
        token = (
            issuer.token(sub=subject, jti=str(number), permissions=["catalog:read"])
            if good
            else f"grd_live_{secrets.token_hex(24)}"
        )
        body = {
            "subject": {"type": "token", "id": token},
            "action": {"name": "GET" if good else method},
            "resource": {"type": "route", "id": TEAMS},
        }
        answer = client.post("/access/v1/evaluation", json=body)
        assert answer.status_code == 200, answer.text
        status: int = answer.json()["context"]["status"]
        assert good is (status == 200)
        return status

    with small.client(service) as client, ThreadPoolExecutor(16) as threads:
        found = Counter(threads.map(send, range(400)))
    assert found[200] == 20
    assert found[401] >= LIMIT
    assert found[401] + found[429] == 380

    denied = {"verdict": "deny"}

    def rows() -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = reader.get("/api/v1/decisions/", params=denied).json()["results"]
        return [row for row in listed if row["action"] == method]

    with small.client(issuer.token(permissions=["decisions:read"])) as reader:
        assert eventually(lambda: sum(row["count"] for row in rows()) == found[401])
        assert len(rows()) <= 4

        def accepted() -> int:
            return len(reader.get("/api/v1/decisions/", params={"subject": subject}).json()["results"])

        assert eventually(lambda: accepted() == 20)


def test_issues_and_rotations_per_owner_are_limited_per_minute(small: Server, issuer: LiveIssuer) -> None:
    with small.client(issuer.token(sub="user_many", permissions=["catalog:read"])) as client:
        answers = [client.post("/api/v1/api-keys/", json={"name": "k"}) for _ in range(4)]
        # A refusal for another reason spends nothing.
        assert client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["no:such"]}).status_code == 400
        assert client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["keys:write"]}).status_code == 403
        rotated = client.post(f"/api/v1/api-keys/{answers[0].json()['api_key']['id']}/rotate")
        assert [answer.status_code for answer in (*answers, rotated)] == [201] * 5
        assert_beyond(client.post("/api/v1/api-keys/", json={"name": "k"}))
        second = answers[1].json()["api_key"]["id"]
        assert_beyond(client.post(f"/api/v1/api-keys/{second}/rotate"))
        shown = client.get(f"/api/v1/api-keys/{second}/").json()
        assert (shown["is_active"], shown["expires_at"]) == (True, None)
        assert client.post(f"/api/v1/api-keys/{second}/revoke").status_code == 200
    with small.client(issuer.token(sub="user_few", permissions=["catalog:read"])) as client:
        assert client.post("/api/v1/api-keys/", json={"name": "k"}).status_code == 201


def test_the_console_shows_a_spent_budget_on_a_page(small: Server, issuer: LiveIssuer) -> None:
    with small.client(issuer.token(sub="user_console", permissions=["catalog:read"])) as client:
        for _ in range(5):
            assert client.post("/api/v1/api-keys/", json={"name": "k"}).status_code == 201
    person = sign_in(small, "user_console", ["catalog:read"])
    form = person.get("/console/keys/new").text
    form_id = form.split('name="form_id" value="')[1].split('"')[0]
    answer = person.post(
        "/console/keys/new", name="k", environment="live", lives="90", scopes=["catalog:read"], form_id=form_id
    )
    assert (answer.status_code, "Too many requests." in answer.text) == (429, True)
    assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_refusals_are_counted_and_not_in_the_decision_log(small: Server, issuer: LiveIssuer) -> None:
    before = scrape(small, issuer)
    spend(small, "192.0.2.20")
    for _ in range(10):
        assert_beyond(ask(small, "abc", "192.0.2.20"))
    after = scrape(small, issuer)
    name, budget = "authz_budget_refusals_total", "bad_credentials"
    assert after(name, budget=budget) - before(name, budget=budget) == 11
    failures = "authz_authentication_failures_total"
    assert LIMIT <= after(failures, door="app") - before(failures, door="app") <= LIMIT + 3
    assert after.values(name, "budget") == {
        "authorizations",
        "bad_credentials",
        "client_secrets",
        "connections",
        "key_issues",
        "long_work",
        "registrations",
        "sign_ins",
        "tokens",
        "unknown_tokens",
    }
    lines = [line for line in small.written_log() if line.get("event") == "a budget is spent"]
    assert 1 <= len(lines) <= 3, "one of each budget"
    assert "abc" not in str(lines)


def test_behind_an_unknown_proxy_bad_credentials_are_those_of_the_proxy(issuer: LiveIssuer, tmp_path: Path) -> None:
    """Valid ones are still accepted."""
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, bad_credentials_per_minute="10") as server:
        answers = [ask(server, "abc", f"192.0.2.{number}").status_code for number in range(1, 20)]
        assert set(answers[:10]) == {401}
        assert set(answers[-5:]) == {429}
        good = issuer.token(permissions=["catalog:read"])
        assert ask(server, good, "192.0.2.200").status_code == 200
