"""Both clients with a server of this project: the certification fixture, a key, and large batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.asking import Client, Order, Question, question
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server

FIXTURE = ROOT / "tests" / "authzen_policies"
MAY_ASK = ["decisions:evaluate"]


def ask(who: str, action: str, record: str, **sent: dict[str, Any]) -> Question:
    """A question with the attributes `of_subject`, `of_action` and `of_record`."""
    return {
        "subject": {"type": "user", "id": who, "properties": sent.get("of_subject", {})},
        "action": {"name": action, "properties": sent.get("of_action", {})},
        "resource": {"type": "record", "id": record, "properties": sent.get("of_record", {})},
    }


# Section 1.4 of the certification scenario (openid/authzen), in its order.
SCENARIO = [
    (ask("alice", "read", "record-1"), True),
    (ask("alice", "write", "record-1"), True),
    (ask("bob", "read", "record-1"), True),
    (ask("bob", "write", "record-1"), False),
    (ask("alice", "write", "record-1", of_record={"status": "archived"}), False),
    (ask("eve", "write", "record-2", of_subject={"role": "admin"}, of_record={"status": "archived"}), True),
    (ask("alice", "delete", "record-1", of_action={"soft": True}), True),
    (ask("alice", "delete", "record-1", of_action={"soft": False}), False),
]


@pytest.fixture(scope="module")
def pdp(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server with the policy of the scenario."""
    directory = tmp_path_factory.mktemp("pdp")
    with Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, policies=FIXTURE) as started:
        yield started


def order(server: Server, issuer: LiveIssuer, questions: list[Question], **more: Any) -> Order:
    return Order(server.url, questions, **{"token": issuer.token(permissions=MAY_ASK), **more})


@pytest.mark.parametrize("case", range(8))
def test_each_case_of_the_scenario_alone(pdp: Server, issuer: LiveIssuer, client: Client, case: int) -> None:
    asked, expected = SCENARIO[case]
    outcome = client.ask(order(pdp, issuer, [asked], alone=True))
    assert (outcome.allowed, outcome.failures) == ([expected], [])


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_the_scenario_in_batches(pdp: Server, issuer: LiveIssuer, client: Client, batch: int) -> None:
    outcome = client.ask(order(pdp, issuer, [asked for asked, _ in SCENARIO], batch=batch))
    assert (outcome.allowed, outcome.failures) == ([expected for _, expected in SCENARIO], [])


def test_2500_evaluations_in_the_largest_batches(pdp: Server, issuer: LiveIssuer, client: Client) -> None:
    asked = [SCENARIO[number % 8] for number in range(2500)]
    outcome = client.ask(order(pdp, issuer, [each for each, _ in asked], batch=1000))
    assert (outcome.allowed, outcome.failures) == ([expected for _, expected in asked], [])


def test_an_incomplete_evaluation_is_denied_in_its_place(pdp: Server, issuer: LiveIssuer, client: Client) -> None:
    alice = question("alice")
    incomplete = {name: value for name, value in alice.items() if name != "action"}
    outcome = client.ask(order(pdp, issuer, [alice, incomplete, alice]))
    assert outcome.allowed == [True, False, True]
    alone = client.ask(order(pdp, issuer, [incomplete], alone=True))
    assert (alone.allowed, alone.failures) == ([False], ["the decision point answered 400"])


@pytest.mark.parametrize("alone", [True, False])
def test_a_caller_without_the_permission_gets_denials_and_a_reason(
    pdp: Server, issuer: LiveIssuer, client: Client, alone: bool
) -> None:
    stranger = issuer.token(permissions=["catalog:read"])
    outcome = client.ask(order(pdp, issuer, [question("alice")], alone=alone, token=stranger))
    assert outcome.allowed == [False]
    assert outcome.failures == [
        "the decision point answered 403: our token lacks decisions:evaluate or tokens:introspect"
    ]
    expired = issuer.token(permissions=MAY_ASK, exp=1)
    outcome = client.ask(order(pdp, issuer, [question("alice")], alone=alone, token=expired))
    assert outcome.allowed == [False]
    assert outcome.failures == ["the decision point answered 401: it does not take our token"]


def test_a_service_uses_a_key_until_it_is_revoked(server: Server, issuer: LiveIssuer, client: Client) -> None:
    """With the shipped policy: the service has a key, and the subject is another key of the same owner."""
    owner = issuer.token(sub="user_service", permissions=[*MAY_ASK, "catalog:read"])
    with server.client(owner) as owned:
        asks, reads = (
            owned.post("/api/v1/api-keys/", json={"name": name, "scopes": [scope]}).json()
            for name, scope in (("asks", "decisions:evaluate"), ("reads", "catalog:read"))
        )
        subject = {"type": "key", "id": str(reads["api_key"]["id"])}
        questions: list[Question] = [
            {"subject": subject, "action": {"name": method}, "resource": {"type": "route", "id": path}}
            for method, path in (
                ("GET", "/api/v1/teams/1/"),
                ("GET", "/api/v1/teams/{team_id}"),
                ("DELETE", "/api/v1/teams/1/"),
                ("GET", "/api/v1/sources/"),
                ("GET", "/no/such/path"),
            )
        ]
        outcome = client.ask(order(server, issuer, questions, token=asks["plaintext"]))
        assert (outcome.allowed, outcome.failures) == ([True, True, False, False, False], [])
        owned.post(f"/api/v1/api-keys/{asks['api_key']['id']}/revoke/")
    outcome = client.ask(order(server, issuer, questions, token=asks["plaintext"]))
    assert outcome.allowed == [False] * 5
    assert outcome.failures == ["the decision point answered 401: it does not take our token"]


def test_the_request_id_of_a_failure_is_in_the_log_of_the_server(
    server: Server, issuer: LiveIssuer, client: Client
) -> None:
    outcome = client.ask(order(server, issuer, [question("alice")], token=issuer.token(permissions=[])))
    (request_id,) = outcome.ids
    line = server.wait_for_log(lambda entry: entry.get("request_id") == request_id)
    assert line["request_id"] == request_id


def test_a_stopped_server_allows_nothing(issuer: LiveIssuer, tmp_path: Path, client: Client) -> None:
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, policies=FIXTURE) as started:
        asked = order(started, issuer, [question("alice")] * 3)
        assert client.ask(asked).allowed == [True, True, True]
    outcome = client.ask(asked)
    assert outcome.allowed == [False, False, False]
    assert len(outcome.failures) == 1
