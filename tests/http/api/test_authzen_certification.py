"""The certification scenario of AuthZEN 1.0, case by case, over HTTPS: all levels, core and properties.

The names of cases are the scenario's own section numbers (openid/authzen, certification/).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.certificate import make
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, ROOT, Server

FIXTURE = ROOT / "tests" / "authzen_policies"
EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
SUBJECT, RESOURCE, ACTION = (f"/access/v1/search/{name}" for name in ("subject", "resource", "action"))
CONFIGURATION = "/.well-known/authzen-configuration"

Json = dict[str, Any]
ALICE: Json = {"type": "user", "id": "alice"}
BOB: Json = {"type": "user", "id": "bob"}
ADMIN: Json = {**BOB, "properties": {"role": "admin"}}
RECORD_1: Json = {"type": "record", "id": "record-1"}
RECORD_2: Json = {"type": "record", "id": "record-2"}
ACTIVE: Json = {**RECORD_1, "properties": {"status": "active"}}
ARCHIVED: Json = {**RECORD_2, "properties": {"status": "archived"}}
READ, WRITE = {"name": "read"}, {"name": "write"}
CONTEXT = {"time": "2025-06-27T18:03-07:00", "ip": "192.168.1.1"}


def ask(subject: Json, action: Json, resource: Json, **more: Any) -> Json:
    return {"subject": subject, "action": action, "resource": resource, **more}


@pytest.fixture(scope="module")
def pdp(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A decision point with the fixture of the scenario, over HTTPS, and a caller with the permission."""
    directory = tmp_path_factory.mktemp("pdp")
    certificate = make(directory)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    server = Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        command=(str(AUTHZ), "serve", "--port", str(port), *certificate.options),
        policies=FIXTURE,
        public_url=f"https://127.0.0.1:{port}",
    )
    headers = {"Authorization": f"Bearer {issuer.token(permissions=['decisions:evaluate'])}"}
    with server, httpx.Client(base_url=server.url, headers=headers, verify=certificate.trusted(), timeout=20) as client:
        assert server.url == f"https://127.0.0.1:{port}"
        yield client


DECISIONS: dict[str, tuple[Json, bool]] = {
    "1.4.1": (ask(ALICE, READ, RECORD_1), True),
    "1.4.2": (ask(ALICE, WRITE, RECORD_1), True),
    "1.4.3": (ask(BOB, READ, RECORD_1), True),
    "1.4.4": (ask(BOB, WRITE, RECORD_1), False),
    "1.4.5": (ask(ALICE, WRITE, {**RECORD_1, "properties": {"status": "archived"}}), False),
    "1.4.6": (ask({"type": "user", "id": "eve", "properties": {"role": "admin"}}, WRITE, ARCHIVED), True),
    "1.4.7": (ask(ALICE, {"name": "delete", "properties": {"soft": True}}, RECORD_1), True),
    "1.4.8": (ask(ALICE, {"name": "delete", "properties": {"soft": False}}, RECORD_1), False),
    "2.2.1": (ask(ALICE, READ, RECORD_1), True),
    "2.2.2": (ask(BOB, WRITE, RECORD_1), False),
    "2.2.3": (ask(ALICE, READ, RECORD_1, context=CONTEXT), True),
    "2.2.4": (ask(ALICE, WRITE, ARCHIVED), False),
    "2.2.5": (ask(ADMIN, WRITE, ARCHIVED), True),
    "2.2.6": (ask(ALICE, {"name": "delete", "properties": {"soft": True}}, RECORD_1), True),
    "2.2.7": (ask(ALICE, {"name": "delete", "properties": {"soft": False}}, RECORD_1), False),
    "2.2.8": (
        ask(
            {**ALICE, "properties": {"department": "Sales", "role": "manager"}},
            {**READ, "properties": {"method": "GET"}},
            {**RECORD_1, "properties": {"status": "active", "owner": "bob"}},
        ),
        True,
    ),
    "2.2.9": (ask(ALICE, READ, RECORD_1, foo="bar", futureField={"nested": True}), True),
}


@pytest.mark.parametrize("case", DECISIONS)
def test_decisions(pdp: httpx.Client, case: str) -> None:
    """Also 2.3: the answer is JSON with a boolean, and here with nothing else."""
    question, expected = DECISIONS[case]
    answer = pdp.post(EVALUATION, json=question)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"decision": expected}


@pytest.mark.parametrize("case", [f"1.4.{rule}" for rule in range(1, 9)])
@pytest.mark.parametrize("context", [{}, CONTEXT, {"role": "admin", "status": "active"}])
def test_context_changes_no_decision_of_the_fixture(pdp: httpx.Client, case: str, context: Json) -> None:
    question, expected = DECISIONS[case]
    assert pdp.post(EVALUATION, json={**question, "context": context}).json() == {"decision": expected}


INVALID: dict[str, tuple[Json, str]] = {
    "2.4.1 subject": ({"action": READ, "resource": RECORD_1}, "`subject` is missing."),
    "2.4.1 action": ({"subject": ALICE, "resource": RECORD_1}, "`action` is missing."),
    "2.4.1 resource": ({"subject": ALICE, "action": READ}, "`resource` is missing."),
    "2.4.2 subject.type": (ask({"id": "alice"}, READ, RECORD_1), "`subject.type` is missing."),
    "2.4.2 subject.id": (ask({"type": "user"}, READ, RECORD_1), "`subject.id` is missing."),
    "2.4.2 action.name": (ask(ALICE, {}, RECORD_1), "`action.name` is missing."),
    "2.4.2 resource.type": (ask(ALICE, READ, {"id": "record-1"}), "`resource.type` is missing."),
    "2.4.2 resource.id": (ask(ALICE, READ, {"type": "record"}), "`resource.id` is missing."),
    "2.4.6 subject": ({**ask(ALICE, READ, RECORD_1), "subject": "alice"}, "`subject` must be an object, not a string."),
    "2.4.6 action.name": (
        ask(ALICE, {"name": 123}, RECORD_1),
        "`action.name` must be a string, not a whole number.",
    ),
}


@pytest.mark.parametrize("case", INVALID)
@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS])
def test_a_missing_or_wrongly_typed_field_is_named(pdp: httpx.Client, path: str, case: str) -> None:
    body, detail = INVALID[case]
    answer = pdp.post(path, json=body)
    assert (answer.status_code, answer.json()) == (400, {"detail": detail})


@pytest.mark.parametrize("path", [EVALUATION, EVALUATIONS, SUBJECT, RESOURCE, ACTION])
@pytest.mark.parametrize(
    ("case", "content", "kind"),
    [
        ("2.4.3 text", b'{"subject": {}}', "text/plain"),
        ("2.4.3 form", b"subject=alice", "application/x-www-form-urlencoded"),
        ("2.4.3 none", b'{"subject": {}}', ""),
        ("2.4.4", b'{"subject": {"type": "user", "id": "alice"}, ', "application/json"),
        ("2.4.5", b"", "application/json"),
        ("array", b"[]", "application/json"),
    ],
)
def test_bodies_that_are_no_json_object(pdp: httpx.Client, path: str, case: str, content: bytes, kind: str) -> None:
    answer = pdp.post(path, content=content, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == 400, case
    assert set(answer.json()) == {"detail"}


def test_2_5_a_request_id_is_returned_or_created(pdp: httpx.Client) -> None:
    sent = "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"
    for path, body in (
        (EVALUATION, ask(ALICE, READ, RECORD_1)),
        (EVALUATIONS, {}),
        (SUBJECT, ask(ALICE, READ, RECORD_1)),
    ):
        assert pdp.post(path, json=body, headers={"X-Request-ID": sent}).headers["x-request-id"] == sent
        assert pdp.post(path, json=body).headers["x-request-id"]


def test_2_6_evaluations_are_repeatable(pdp: httpx.Client) -> None:
    for question, expected in (DECISIONS["2.2.1"], DECISIONS["2.2.2"], DECISIONS["2.2.5"]):
        assert {pdp.post(EVALUATION, json=question).json()["decision"] for _ in range(5)} == {expected}


BATCHES: dict[str, tuple[Json, list[bool]]] = {
    "3.2.1": (
        {"subject": ALICE, "action": READ, "evaluations": [{"resource": RECORD_1}, {"resource": RECORD_2}]},
        [True, True],
    ),
    "3.2.2": (
        {"subject": BOB, "resource": RECORD_1, "evaluations": [{"action": READ}, {"action": WRITE}]},
        [True, False],
    ),
    "3.2.3": (
        {"subject": ALICE, "action": WRITE, "evaluations": [{"resource": ACTIVE}, {"resource": ARCHIVED}]},
        [True, False],
    ),
    "3.2.4": (
        {"action": WRITE, "resource": ARCHIVED, "evaluations": [{"subject": ALICE}, {"subject": ADMIN}]},
        [False, True],
    ),
    "3.2.5": ({"evaluations": [ask(ALICE, READ, RECORD_1), ask(BOB, WRITE, RECORD_1)]}, [True, False]),
    "3.2.6": (
        {
            "subject": ALICE,
            "action": READ,
            "context": CONTEXT,
            "evaluations": [{"resource": RECORD_1}, {"resource": RECORD_2, "context": {"source": "batch-override"}}],
        },
        [True, True],
    ),
    "3.2.7": (
        {
            "subject": ALICE,
            "action": WRITE,
            "resource": {"type": "record"},
            "evaluations": [
                {"resource": {"id": "record-1", "properties": {"status": "active"}}},
                {"resource": ARCHIVED},
            ],
        },
        [True, False],
    ),
}


@pytest.mark.parametrize("case", BATCHES)
def test_batches(pdp: httpx.Client, case: str) -> None:
    """Also 3.3: as many decisions as items, in their order, and no decision at the top."""
    body, expected = BATCHES[case]
    answer = pdp.post(EVALUATIONS, json=body)
    assert answer.status_code == 200
    assert answer.json() == {"evaluations": [{"decision": decision} for decision in expected]}


def test_3_4_1_an_incomplete_item_is_denied_in_its_place(pdp: httpx.Client) -> None:
    body = {"subject": ALICE, "action": READ, "evaluations": [{"resource": RECORD_1}, {}]}
    answer = pdp.post(EVALUATIONS, json=body)
    assert answer.status_code == 200
    assert answer.json() == {
        "evaluations": [{"decision": True}, {"decision": False, "context": {"reason": "`resource` is missing."}}]
    }


@pytest.mark.parametrize("more", [{}, {"evaluations": []}], ids=["3.4.2", "3.4.3"])
def test_without_items_it_is_a_single_evaluation(pdp: httpx.Client, more: Json) -> None:
    answer = pdp.post(EVALUATIONS, json=ask(ALICE, READ, RECORD_1, **more))
    assert (answer.status_code, answer.json()) == (200, {"decision": True})


SEARCHES: dict[str, tuple[str, Json, list[Json]]] = {
    "1.5.1": (SUBJECT, ask({"type": "user"}, READ, RECORD_1), [ALICE, BOB]),
    "1.5.2": (RESOURCE, ask(ALICE, READ, {"type": "record"}), [RECORD_1, RECORD_2]),
    "1.5.3": (ACTION, {"subject": ALICE, "resource": RECORD_1}, [READ, WRITE]),
    "1.5.4": (SUBJECT, ask({"type": "user"}, WRITE, ARCHIVED), [BOB]),
    "1.5.5": (RESOURCE, ask(ADMIN, WRITE, {"type": "record"}), [RECORD_2]),
    "1.5.6": (ACTION, {"subject": ADMIN, "resource": ARCHIVED}, [READ, WRITE]),
    "4.2.1": (SUBJECT, ask({"type": "user"}, READ, RECORD_1), [ALICE, BOB]),
    "4.2.2": (SUBJECT, ask({"type": "user"}, READ, RECORD_1, context=CONTEXT), [ALICE, BOB]),
    "4.2.3": (SUBJECT, ask({"type": "user", "id": "mallory"}, READ, RECORD_1), [ALICE, BOB]),
    "4.2.4": (SUBJECT, ask({"type": "user"}, WRITE, ARCHIVED), [BOB]),
    "4.3.1": (RESOURCE, ask(ALICE, READ, {"type": "record"}), [RECORD_1, RECORD_2]),
    "4.3.2": (RESOURCE, ask(ALICE, READ, {"type": "record", "id": "nothing"}), [RECORD_1, RECORD_2]),
    "4.3.3": (RESOURCE, ask(ADMIN, WRITE, {"type": "record"}), [RECORD_2]),
    "4.4.1": (ACTION, {"subject": ALICE, "resource": RECORD_1}, [READ, WRITE]),
    "4.4.2": (ACTION, {"subject": ALICE, "resource": RECORD_1, "context": CONTEXT}, [READ, WRITE]),
    "4.4.3": (ACTION, {"subject": ADMIN, "resource": ARCHIVED}, [READ, WRITE]),
    "4.6.1": (ACTION, {"subject": {"type": "user", "id": "nonexistent-user"}, "resource": RECORD_1}, []),
    "4.6.2": (SUBJECT, ask({"type": "spaceship"}, READ, RECORD_1), []),
    "4.6.2 resource": (RESOURCE, ask(ALICE, READ, {"type": "spaceship"}), []),
    "4.6.2 action": (ACTION, {"subject": ALICE, "resource": {"type": "spaceship", "id": "1"}}, []),
    "4.6.1 resource": (SUBJECT, ask({"type": "user"}, READ, {"type": "spaceship", "id": "1"}), []),
}


@pytest.mark.parametrize("case", SEARCHES)
def test_searches(pdp: httpx.Client, case: str) -> None:
    path, body, expected = SEARCHES[case]
    answer = pdp.post(path, json=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"results": expected}


@pytest.mark.parametrize("case", [case for case, (_, _, found) in SEARCHES.items() if found])
def test_each_result_of_a_search_is_allowed_by_an_evaluation(pdp: httpx.Client, case: str) -> None:
    path, body, _ = SEARCHES[case]
    name = path.rpartition("/")[2]
    for found in pdp.post(path, json=body).json()["results"]:
        question = {**body, name: {**body.get(name, {}), **found}}
        assert pdp.post(EVALUATION, json=question).json() == {"decision": True}


def test_4_5_pages(pdp: httpx.Client) -> None:
    body = ask({"type": "user"}, READ, RECORD_1)
    first = pdp.post(SUBJECT, json={**body, "page": {"limit": 1}}).json()
    assert first["results"] == [ALICE]
    token = first["page"]["next_token"]
    assert token
    last = pdp.post(SUBJECT, json={**body, "page": {"token": token}}).json()
    assert last == {"results": [BOB], "page": {"next_token": ""}}


SEARCH_INVALID: dict[str, tuple[str, Json, str]] = {
    "4.7.1 subject": (SUBJECT, {"subject": {"type": "user"}, "resource": RECORD_1}, "action"),
    "4.7.1 resource": (RESOURCE, {"action": READ, "resource": {"type": "record"}}, "subject"),
    "4.7.1 action": (ACTION, {"subject": ALICE}, "resource"),
    "4.7.2 subject": (SUBJECT, ask({"type": "user"}, READ, {"type": "record"}), "resource.id"),
    "4.7.2 resource": (RESOURCE, ask({"type": "user"}, READ, {"type": "record"}), "subject.id"),
    "the searched type": (SUBJECT, ask({"id": "alice"}, READ, RECORD_1), "subject.type"),
    "an action's name": (RESOURCE, ask(ALICE, {}, {"type": "record"}), "action.name"),
    "right for resources": (ACTION, ask(ALICE, READ, {"type": "record"}), "resource.id"),
}


@pytest.mark.parametrize("case", SEARCH_INVALID)
def test_an_incomplete_search_names_the_missing_field(pdp: httpx.Client, case: str) -> None:
    path, body, field = SEARCH_INVALID[case]
    answer = pdp.post(path, json=body)
    assert (answer.status_code, answer.json()) == (400, {"detail": f"`{field}` is missing."})


def test_6_discovery(pdp: httpx.Client) -> None:
    base = str(pdp.base_url).rstrip("/")
    answer = pdp.get(CONFIGURATION, headers={"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "policy_decision_point": base,
        "access_evaluation_endpoint": base + EVALUATION,
        "access_evaluations_endpoint": base + EVALUATIONS,
        "search_subject_endpoint": base + SUBJECT,
        "search_resource_endpoint": base + RESOURCE,
        "search_action_endpoint": base + ACTION,
    }
    assert pdp.post(answer.json()["access_evaluation_endpoint"], json=ask(ALICE, READ, RECORD_1)).json()["decision"]
    assert pdp.head(CONFIGURATION).status_code == 200
