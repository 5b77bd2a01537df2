"""The cost of AuthZEN calls is bounded, and an item of a batch is decided as a single evaluation is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
Json = dict[str, Any]
NAMES = [f"name-{number}" for number in range(1000)]
# Each condition reads variables that the items of a batch share, and some that they do not.
ROWS = """\
p, anyone, record, shared, allow, "context.names.exists(name, name == 'name-7')"
p, anyone, record, owned, allow, "context.names.exists(name, name == resource.properties.owner)"
p, anyone, record, absent, allow, "has(resource.properties.owner) && resource.properties.owner in context.names"
p, anyone, record, mine, allow, "subject.properties.teams.exists(team, team == resource.id)"
p, anyone, record, failing, allow, "context.nothing == 'x'"
p, anyone, record, large, allow, "context.names.all(name, name in context.others)"
# end
"""


@pytest.fixture(scope="module")
def pdp(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("pdp"), jwks_url=issuer.jwks_url, issuer=issuer.url)
    (server.policy_dir / "records.csv").write_text(ROWS)
    with server:
        yield server


@pytest.fixture(scope="module")
def caller(pdp: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with pdp.client(issuer.token(permissions=["decisions:evaluate"])) as client:
        yield client


def record(identity: str, **properties: str) -> Json:
    return {"type": "record", "id": identity, "properties": properties}


ITEMS = [
    record("name-1", owner="name-3"),
    record("name-2"),
    record("red", owner="name-4"),
    record("blue", owner="user_unknown"),
    record("red"),
]


@pytest.mark.parametrize("action", ["shared", "owned", "absent", "mine", "failing", "large"])
@pytest.mark.parametrize("names", [NAMES, NAMES[:5], ["name-4"], []], ids=len)
def test_an_item_of_a_batch_has_the_decision_of_a_single_evaluation(
    caller: httpx.Client, action: str, names: list[str]
) -> None:
    defaults: Json = {
        "subject": {"type": "user", "id": "u", "properties": {"teams": ["red", "green"]}},
        "action": {"name": action},
        "context": {"names": names, "others": [f"other-{number}" for number in range(1000)]},
    }
    alone = [caller.post(EVALUATION, json={**defaults, "resource": item}).json()["decision"] for item in ITEMS]
    for order in (1, -1):
        body = {**defaults, "evaluations": [{"resource": item} for item in ITEMS[::order]]}
        together = [answer["decision"] for answer in caller.post(EVALUATIONS, json=body).json()["evaluations"]]
        assert together[::order] == alone
    own: list[Json] = [{"context": {"names": ["name-3"]}}, {"subject": {"type": "user", "id": "v"}}, {}]
    items = [{"resource": item, **each} for item in ITEMS for each in own]
    mixed = caller.post(EVALUATIONS, json={**defaults, "evaluations": items}).json()["evaluations"]
    each_alone = [caller.post(EVALUATION, json={**defaults, **item}).json() for item in items]
    assert [answer["decision"] for answer in mixed] == [answer["decision"] for answer in each_alone]


def test_the_expected_decisions_of_a_batch_follow_from_the_conditions(caller: httpx.Client) -> None:
    def decisions(action: str) -> list[bool]:
        body = {
            "subject": {"type": "user", "id": "u", "properties": {"teams": ["red"]}},
            "action": {"name": action},
            "context": {"names": NAMES},
            "evaluations": [{"resource": item} for item in ITEMS],
        }
        return [answer["decision"] for answer in caller.post(EVALUATIONS, json=body).json()["evaluations"]]

    assert decisions("shared") == [True] * 5
    assert decisions("owned") == [True, False, True, False, False], "an item never has the owner of the one before"
    assert decisions("absent") == [True, False, True, False, False]
    assert decisions("mine") == [False, False, True, False, True]
    assert decisions("failing") == [False] * 5


def test_a_condition_beyond_its_budget_denies_with_a_reason(caller: httpx.Client) -> None:
    body = {
        "subject": {"type": "user", "id": "u"},
        "action": {"name": "large"},
        "resource": record("r"),
        "context": {"names": NAMES, "others": NAMES},
        "options": {"explain": True},
    }
    answer = caller.post(EVALUATION, json=body).json()
    assert (answer["decision"], answer["context"]["reason"]) == (False, "a condition could not be evaluated")
    few = {**body, "context": {"names": NAMES[:200], "others": NAMES[:200]}}
    assert caller.post(EVALUATION, json=few).json()["decision"] is True


@pytest.mark.parametrize("holder", ["context", "subject", "resource", "action"])
def test_values_of_the_defaults_count_for_each_item(caller: httpx.Client, holder: str) -> None:
    defaults: Json = {
        "subject": {"type": "user", "id": "u"},
        "action": {"name": "shared"},
        "resource": {"type": "record", "id": "r"},
    }
    large = {"values": [[0] * 100] * 10}
    body = {**defaults, "context": large} if holder == "context" else defaults
    if holder != "context":
        body[holder] = {**defaults[holder], "properties": large}
    at_most = 1_000_000 // 1011
    assert caller.post(EVALUATIONS, json={**body, "evaluations": [{}] * at_most}).status_code == 200
    refused = caller.post(EVALUATIONS, json={**body, "evaluations": [{}] * (at_most + 1)})
    assert refused.status_code == 400
    assert "at most 1000000 are allowed" in refused.json()["detail"]
    assert "counts for each item" in refused.json()["detail"]


def test_the_number_of_values_of_a_search_is_bounded(caller: httpx.Client) -> None:
    def search(kind: str, *, sought: int, context: int) -> httpx.Response:
        entities = {"subject": {"type": "user", "id": "u"}, "resource": record("r")}
        entities[kind]["properties"] = {f"p{number}": number for number in range(sought)}
        body = {**entities, "action": {"name": "shared"}, "context": {"names": NAMES[:context]}}
        return caller.post(f"/access/v1/search/{kind}", json=body)

    for kind in ("subject", "resource"):
        assert search(kind, sought=100, context=800).status_code == 200
        assert search(kind, sought=101, context=0).json() == {
            "detail": "The entity to search for has 101 values; at most 100 are allowed."
        }
        assert search(kind, sought=100, context=900).json() == {
            "detail": "The search has 1001 values; at most 1000 are allowed."
        }


@pytest.mark.parametrize("name", ["permissions", "scope"])
def test_grants_in_a_text_count_as_those_in_a_list(caller: httpx.Client, name: str) -> None:
    words = [f"grant:{number}" for number in range(2_000)]

    def statuses(count: int) -> set[int]:
        found = set()
        for kind in ("resource", "action"):
            for grants in (words[:count], " ".join(words[:count])):
                subject = {"type": "user", "id": "u", "properties": {name: grants}}
                body = {"subject": subject, "action": {"name": "shared"}, "resource": record("r")}
                found.add(caller.post(f"/access/v1/search/{kind}", json=body).status_code)
        return found

    assert (statuses(900), statuses(1_001)) == ({200}, {400})
    for grants in (words, " ".join(words)):
        subject = {"type": "user", "id": "u", "properties": {name: grants}}
        body = {"subject": subject, "action": {"name": "shared"}, "resource": record("r")}
        assert caller.post(EVALUATIONS, json={**body, "evaluations": [{}] * 498}).status_code == 200
        assert caller.post(EVALUATIONS, json={**body, "evaluations": [{}] * 502}).status_code == 400
        assert caller.post("/access/v1/evaluation", json=body).status_code == 200, "which is decided once"


def test_other_requests_are_served_while_a_batch_is_decided(pdp: Server, caller: httpx.Client) -> None:
    """A batch with millions of values: each item has a list of another size, which is converted separately."""
    items = [
        {"resource": record(f"r{number}", owner="x"), "context": {"names": [str(number)] * 130}}
        for number in range(1000)
    ]
    body = {"subject": {"type": "user", "id": "u"}, "action": {"name": "owned"}, "evaluations": items}
    served = 0
    done = threading.Event()

    def ask() -> None:
        nonlocal served
        with httpx.Client(base_url=pdp.url) as client:
            while not done.is_set():
                client.get("/healthz").raise_for_status()
                served += not done.is_set()

    other = threading.Thread(target=ask)
    other.start()
    try:
        for _ in range(3):
            assert caller.post(EVALUATIONS, json=body).status_code == 200
    finally:
        done.set()
        other.join()
    assert served > 30, "with 200 items at a time it could be 15, at five places in a batch"
