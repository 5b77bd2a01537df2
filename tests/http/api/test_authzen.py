"""Evaluations over AuthZEN: users, keys and anonymous callers, routes and other resources, single and in batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
Json = dict[str, Any]
GET: Json = {"name": "GET"}
TEAMS: Json = {"type": "route", "id": "/api/v1/teams"}
READER: Json = {"type": "user", "id": "user_reader", "properties": {"permissions": ["catalog:read"]}}

ORDERS = """\
openapi: 3.1.0
info: {title: Orders, version: "1"}
servers: [{url: https://orders.example.com/v1}]
paths:
  /orders/{order-id}:
    get: {}
"""
ROWS = """\
p, catalog:read, orders:/v1/orders/**, GET, allow, "params['order-id'] != '13'"

p, role:clerk, record, read, allow
p, anyone, record:open, read, allow
p, role:clerk, record:shut, read, deny
p, auth:anonymous, record:stranger, read, allow
p, role:clerk, record, write, allow, "resource.properties.owner == subject.id && action.properties.reason != ''"
p, anyone, record, sign, allow, "context.second_factor == true && request.time > timestamp('2020-01-01T00:00:00Z')"
p, auth:api_key env:live, record, export, allow, "subject.owner == 'user_owner' && subject.method == 'authzen'"
p, anyone, api, read, allow
p, anyone, record:x, peek, allow
g, user:user_clerk, role:clerk
# end
"""
ENTITIES = """\
subjects:
  - {type: user, id: user_known, properties: {permissions: catalog:read}}
resources:
  - {type: record, id: mine, properties: {owner: user_clerk, color: red}}
# end
"""


def question(subject: Json, action: str | Json, resource: Json | str, **more: Any) -> Json:
    if isinstance(resource, str):
        kind, _, identity = resource.partition(" ")
        resource = {"type": kind, "id": identity}
    action = {"name": action} if isinstance(action, str) else action
    return {"subject": subject, "action": action, "resource": resource, **more}


@pytest.fixture(scope="module")
def pdp(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose policy also has rows for records and another service, and entities."""
    server = Server(tmp_path_factory.mktemp("pdp"), jwks_url=issuer.jwks_url, issuer=issuer.url, key_cache_seconds="0")
    for name, text in {
        "records.csv": ROWS,
        "entities/all.yaml": ENTITIES,
        "upstreams/orders.openapi.yaml": ORDERS,
    }.items():
        (server.policy_dir / name).parent.mkdir(exist_ok=True)
        (server.policy_dir / name).write_text(text)
    with server:
        yield server


@pytest.fixture(scope="module")
def caller(pdp: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with pdp.client(issuer.token(sub="user_service", permissions=["decisions:evaluate"])) as client:
        yield client


@pytest.fixture
def decide(caller: httpx.Client) -> Callable[..., bool]:
    """The decision of an evaluation, which is the only member of the answer."""

    def ask(subject: Json, action: str | Json, resource: Json | str, **more: Any) -> bool:
        answer = caller.post(EVALUATION, json=question(subject, action, resource, **more))
        assert answer.status_code == 200, answer.text
        assert set(answer.json()) == {"decision"}
        decision: bool = answer.json()["decision"]
        return decision

    return ask


def user(name: str, **properties: Any) -> Json:
    return {"type": "user", "id": name, **({"properties": properties} if properties else {})}


def test_callers_need_the_permission(pdp: Server, issuer: LiveIssuer) -> None:
    body = question(READER, "GET", TEAMS)
    for path in (EVALUATION, EVALUATIONS, "/access/v1/search/subject", "/access/v1/search/action"):
        assert httpx.post(pdp.url + path, json=body).status_code == 401
        with pdp.client(issuer.token(permissions=["catalog:read"])) as client:
            refused = client.post(path, json=body)
        assert refused.status_code == 403
        assert 'scope="decisions:evaluate"' in refused.headers["www-authenticate"]
        with pdp.client(issuer.token(permissions="decisions:evaluate", exp=1)) as client:
            assert client.post(path, content=b"{").json() == {"detail": "Token has expired."}, "401 comes before 400"


def test_a_program_calls_authzen_with_a_key(pdp: Server, issuer: LiveIssuer) -> None:
    _, plaintext = _issue(pdp, issuer, scopes=["decisions:evaluate"])
    with pdp.client(plaintext) as client:
        assert client.post(EVALUATION, json=question(READER, "GET", TEAMS)).json() == {"decision": True}


def test_a_user_holds_stated_permissions_but_no_stated_fact(decide: Callable[..., bool]) -> None:
    teams = "route /api/v1/teams"
    assert decide(user("u", permissions=["catalog:read"]), "GET", teams)
    assert decide(user("u", permissions="holdings:read catalog:read"), "GET", teams)
    assert decide({**READER, "type": "identity"}, "GET", teams), "an alias of a user"
    assert not decide(user("u"), "GET", teams)
    assert not decide(user("u", permissions=["catalog:read"]), "POST", teams)
    for claimed in (
        ["role:viewer"],
        ["role:admin", 7],
        "auth:jwt role:viewer",
        {"catalog:read": True},
        [["catalog:read"]],
    ):
        assert not decide(user("u", permissions=claimed), "GET", teams), claimed
    assert decide(user("u"), "GET", "route /api/v1/api-keys"), "a user is signed in"
    assert not decide({"type": "anonymous", "id": ""}, "GET", "route /api/v1/api-keys")
    assert decide({"type": "anonymous", "id": ""}, "GET", "route /healthz")
    assert not decide({"type": "anonymous", "id": "", "properties": {"permissions": ["catalog:read"]}}, "GET", teams)


def test_roles_and_other_types_of_subjects(decide: Callable[..., bool]) -> None:
    assert decide(user("user_clerk"), "read", "record 7")
    assert not decide(user("user_else"), "read", "record 7")
    assert not decide({"type": "role", "id": "clerk"}, "read", "record 7"), "no type makes a fact"
    assert not decide({"type": "user:user_clerk", "id": "x"}, "read", "record 7")
    assert not decide({"type": "service", "id": "user:user_clerk"}, "read", "record 7")
    service: Json = {"type": "service", "id": "s", "properties": {"permissions": ["catalog:read", "auth:jwt"]}}
    assert decide(service, "GET", TEAMS)
    assert not decide(service, "GET", "route /api/v1/api-keys"), "it is not signed in either"


def test_entities_state_attributes_that_callers_may_overlay(decide: Callable[..., bool]) -> None:
    assert decide(user("user_known"), "GET", TEAMS)
    assert decide({"type": "identity", "id": "user_known"}, "GET", TEAMS)
    assert not decide(user("user_known", permissions=[]), "GET", TEAMS)
    assert decide(user("user_known", team="x"), "GET", TEAMS), "key by key"
    write = {"name": "write", "properties": {"reason": "typo"}}
    for properties, expected in (({}, True), ({"color": "blue"}, True), ({"owner": "user_else"}, False)):
        resource = {"type": "record", "id": "mine", "properties": properties}
        assert decide(user("user_clerk"), write, resource) is expected, properties
    assert not decide(user("user_clerk"), "write", "record mine"), "the reason is missing"
    assert not decide(user("user_clerk"), write, "record other"), "its owner is not known"


def test_conditions_read_the_context_and_the_time(decide: Callable[..., bool]) -> None:
    assert decide(user("u"), "sign", "record 7", context={"second_factor": True})
    assert not decide(user("u"), "sign", "record 7", context={"second_factor": False})
    assert not decide(user("u"), "sign", "record 7", context={})
    assert not decide(user("u"), "sign", "record 7")


def test_a_resource_id_matches_before_its_type(decide: Callable[..., bool]) -> None:
    assert decide(user("u"), "read", "record open")
    assert not decide(user("user_clerk"), "read", "record shut")
    assert decide({"type": "anonymous", "id": "any"}, "read", "record stranger")
    assert not decide(user("u"), "read", "record stranger")


@pytest.mark.parametrize(
    ("kind", "identity", "action"),
    [
        ("record:x", "", "peek"),
        ("record:x", "1", "peek"),
        ("record:open", "1", "read"),
        ("record", "", "read"),
        ("record", "open\u200b", "read"),
        ("record", "open\x00", "read"),
        ("record", "open ", "read"),
        ("record", "shut*", "read"),
        ("record", "{id}", "read"),
        ("", "record:open", "read"),
        (" record", "open", "read"),
        ("record\n", "open", "read"),
        ("\u0433ecord", "open", "read"),
        ("/api", "1", "read"),
        ("/api/v1/teams", "", "GET"),
        ("/api/v1", "teams", "GET"),
        ("api", "/v1/teams", "read"),
        ("orders", "/v1/orders/7", "GET"),
        ("orders:", "/v1/orders/7", "GET"),
        ("routes", "/api/v1/teams", "GET"),
        ("Route", "/api/v1/teams", "GET"),
        ("route", "api/v1/teams", "GET"),
        ("route", "", "GET"),
        ("route", "record:open", "read"),
        ("route", "*", "GET"),
        ("route", "/**", "GET"),
        ("route", "/api/v1/**", "GET"),
        ("route", "/api/v1/{x}", "GET"),
        ("route", "/api/v1/teams/{id}", "GET"),
        ("route", "//api/v1/teams", "GET"),
        ("route", "/api/v1//teams", "GET"),
        ("route", "/api/v1/./teams", "GET"),
        ("route", "/api/v1/teams/..", "GET"),
        ("route", "/api/v1/teams?x=1", "GET"),
        ("route", "/api/v1/teams#x", "GET"),
        ("route", "/api/v1/teams;x", "GET"),
        ("route", "/api/v1/te%61ms", "GET"),
        ("route", "/api/v1%2Fteams", "GET"),
        ("route", "/api/v1/teams/%00", "GET"),
        ("route", "/api/v1/teams/7\n", "GET"),
        ("route", "/api/v1/teams/\u00e9", "GET"),
        ("route", "http://x/api/v1/teams", "GET"),
        ("route", "orders:orders/7", "GET"),
        ("route", "other:/v1/orders/7", "GET"),
        ("route", ":/api/v1/teams", "GET"),
        ("route", "/v1/orders/7", "GET"),
        ("route", "/api/v1/teams", "get"),
        ("route", "/api/v1/teams", "GET|HEAD"),
        ("route", "/api/v1/teams", "TRACE"),
        ("route", "/api/v1/teams", ""),
        ("route", "/api/v1/nothing", "GET"),
    ],
)
def test_an_ambiguous_resource_is_denied(caller: httpx.Client, kind: str, identity: str, action: str) -> None:
    asked = question(
        user("user_clerk", permissions=["catalog:read", "catalog:write"]), action, {"type": kind, "id": identity}
    )
    answer = caller.post(EVALUATION, json={**asked, "options": {"explain": True}})
    assert answer.status_code == 200
    assert answer.json()["decision"] is False
    assert answer.json()["context"]["reason"]


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("/api/v1/teams", True),
        ("/api/v1/teams/", True),
        ("/api/v1/teams/7", True),
        ("/api/v1/teams/7/", True),
        ("/api/v1/teams/a%20b", True),
        ("/api/v1/teams/{team_id}", True),
        ("/api/v1/sources/{source_id}", False),
        ("/api/v1/sources/7", False),
        ("/healthz", True),
        ("/", False),
        ("orders:/v1/orders/7", True),
        ("orders:/v1/orders/{order-id}", False),
        ("orders:/v1/orders/13", False),
        ("orders:/v1/orders/%31", False),
    ],
)
def test_routes_by_path_and_by_template(decide: Callable[..., bool], route: str, expected: bool) -> None:
    """A template has no values of its parameters, so a condition on them cannot be evaluated."""
    assert decide(READER, "GET", {"type": "route", "id": route}) is expected


def _issue(pdp: Server, issuer: LiveIssuer, **body: Any) -> tuple[int, str]:
    token = issuer.token(sub="user_owner", permissions=["catalog:read", "decisions:evaluate"])
    with pdp.client(token) as client:
        answer = client.post("/api/v1/api-keys", json={"name": "k", **body})
    assert answer.status_code == 201, answer.text
    return answer.json()["api_key"]["id"], answer.json()["plaintext"]


def test_a_key_holds_its_stored_scopes_and_nothing_that_is_sent(
    pdp: Server, issuer: LiveIssuer, decide: Callable[..., bool]
) -> None:
    number, _ = _issue(pdp, issuer, scopes=["catalog:read"])
    bare, _ = _issue(pdp, issuer)
    test_key, _ = _issue(pdp, issuer, scopes=["catalog:read"], environment="test")
    key: Json = {"type": "key", "id": str(number)}
    assert decide(key, "GET", TEAMS)
    assert decide(key, "export", "record 7"), "its owner and environment are known to conditions"
    assert decide({"type": "key", "id": str(test_key)}, "GET", TEAMS)
    assert not decide({"type": "key", "id": str(test_key)}, "export", "record 7")
    assert not decide(key, "GET", "route /api/v1/api-keys"), "a key never manages keys"
    assert not decide({"type": "key", "id": str(bare), "properties": {"permissions": ["catalog:read"]}}, "GET", TEAMS)
    for spelled in (
        f"0{number}",
        f"+{number}",
        f" {number}",
        f"{number}.0",
        "",
        "x",
        "-1",
        "9" * 19,
        "9" * 30,
        str(10**9),
    ):
        assert not decide({"type": "key", "id": spelled}, "GET", "route /healthz"), spelled


def test_a_revoked_or_expired_key_is_denied_everything(
    pdp: Server, issuer: LiveIssuer, decide: Callable[..., bool]
) -> None:
    number, _ = _issue(pdp, issuer, scopes=["catalog:read"])
    key: Json = {"type": "key", "id": str(number)}
    assert decide(key, "GET", TEAMS)
    with pdp.client(issuer.token(sub="user_owner")) as client:
        client.post(f"/api/v1/api-keys/{number}/revoke").raise_for_status()
    assert not decide(key, "GET", TEAMS)
    assert not decide(key, "GET", "route /healthz"), "not even what is open to everyone"
    soon = (datetime.now(UTC) + timedelta(seconds=1.5)).isoformat()
    expiring, _ = _issue(pdp, issuer, scopes=["catalog:read"], expires_at=soon)
    assert decide({"type": "key", "id": str(expiring)}, "GET", TEAMS)
    assert eventually(lambda: not decide({"type": "key", "id": str(expiring)}, "GET", TEAMS))


def test_a_key_of_another_environment_is_denied_everything(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url)
    with server:
        number, _ = _issue(server, issuer, scopes=["catalog:read"], environment="test")
    server.env["AUTHZ_KEY_ENVIRONMENTS"] = "live"
    server.lines.clear()
    with server, server.client(issuer.token(permissions="decisions:evaluate")) as client:
        asked = question({"type": "key", "id": str(number)}, "GET", TEAMS)
        assert client.post(EVALUATION, json=asked).json() == {"decision": False}


def test_explanations_are_returned_only_on_request(pdp: Server, caller: httpx.Client) -> None:
    def explain(subject: Json, action: str, resource: Json | str) -> Json:
        asked = question(subject, action, resource, options={"explain": True})
        answer: Json = caller.post(EVALUATION, json=asked).json()
        assert len(answer["context"].pop("revision")) == 16
        return answer

    rows = (pdp.policy_dir / "catalog.csv").read_text().split("\n")
    line = rows.index("p, catalog:read, /api/v1/teams/**, GET|HEAD, allow") + 1
    assert explain(READER, "GET", "route /api/v1/teams/7") == {
        "decision": True,
        "context": {
            "reason": "a rule allows it",
            # Without the text of the row, since this caller may not read the policy.
            "rule": {"file": "catalog.csv", "line": line, "column": 1},
            "missing": [],
        },
    }
    assert explain(READER, "POST", TEAMS) == {
        "decision": False,
        "context": {
            "reason": "missing grants",
            "rule": None,
            "missing": ["catalog:write"],
        },
    }
    assert explain(READER, "read", "spaceship 7")["context"]["reason"] == "no rule covers it"
    assert explain(READER, "GET", "route /nowhere")["context"]["reason"] == "no route matches this path"
    assert explain(READER, "PUT", TEAMS)["context"]["reason"] == "the route has no such method"
    key = explain({"type": "key", "id": "123456"}, "GET", TEAMS)
    assert "unknown, revoked, expired" in key["context"]["reason"]
    off = question(READER, "GET", TEAMS, options={"explain": False})
    assert caller.post(EVALUATION, json=off).json() == {"decision": True}
    both = caller.post(
        EVALUATIONS, json={**off, "options": {"explain": True}, "evaluations": [{}, {"action": {"name": "POST"}}]}
    )
    assert [item["context"]["missing"] for item in both.json()["evaluations"]] == [[], ["catalog:write"]]


ALLOW: Json = {"action": GET}
DENY: Json = {"action": {"name": "POST"}}
BAD: Json = {"action": {}}


@pytest.mark.parametrize(
    ("semantic", "items", "expected"),
    [
        (None, [ALLOW, DENY, ALLOW], [True, False, True]),
        ("execute_all", [DENY, ALLOW, DENY], [False, True, False]),
        ("deny_on_first_deny", [ALLOW, ALLOW, DENY, ALLOW], [True, True, False]),
        ("deny_on_first_deny", [ALLOW, BAD, ALLOW], [True, False]),
        ("deny_on_first_deny", [ALLOW, ALLOW], [True, True]),
        ("permit_on_first_permit", [DENY, BAD, ALLOW, DENY], [False, False, True]),
        ("permit_on_first_permit", [DENY, DENY], [False, False]),
    ],
)
def test_evaluations_stop_as_their_semantic_requires(
    caller: httpx.Client, semantic: str | None, items: list[Json], expected: list[bool]
) -> None:
    body: Json = {"subject": READER, "resource": TEAMS, "evaluations": items}
    if semantic:
        body["options"] = {"evaluations_semantic": semantic}
    answer = caller.post(EVALUATIONS, json=body).json()
    assert set(answer) == {"evaluations"}
    assert [item["decision"] for item in answer["evaluations"]] == expected


def test_an_item_replaces_a_default_completely(caller: httpx.Client) -> None:
    clerk, write = user("user_clerk"), {"name": "write", "properties": {"reason": "typo"}}
    body: Json = {
        "subject": clerk,
        "action": write,
        "resource": {"type": "record", "id": "7", "properties": {"owner": "user_clerk"}},
        "context": {"second_factor": True},
        "evaluations": [
            {},
            {"resource": {"type": "record", "id": "7"}},
            {"resource": {"id": "7"}},
            {"resource": {"type": "record", "properties": {"owner": "user_clerk"}}},
            {"action": {"name": "write"}},
            {"action": {"properties": {"reason": "typo"}}},
            {"subject": {"id": "user_clerk"}},
            {"action": {"name": "sign"}},
            {"action": {"name": "sign"}, "context": {}},
        ],
    }
    answers = caller.post(EVALUATIONS, json=body).json()["evaluations"]
    assert [item["decision"] for item in answers] == [True] + [False] * 6 + [True, False]
    assert [item.get("context", {}).get("reason") for item in answers] == [
        None,
        None,
        "`resource.type` is missing.",
        "`resource.id` is missing.",
        None,
        "`action.name` is missing.",
        "`subject.type` is missing.",
        None,
        None,
    ]


def test_an_invalid_item_is_denied_with_a_reason(caller: httpx.Client) -> None:
    items: list[Any] = [{}, 7, None, "x", [], {"subject": "x"}, {"context": []}, {"action": {"name": None}}, {}]
    body = {**question(READER, "GET", TEAMS), "evaluations": items}
    answer = caller.post(EVALUATIONS, json=body)
    assert answer.status_code == 200
    assert answer.json()["evaluations"] == [
        {"decision": True},
        {"decision": False, "context": {"reason": "The item must be an object, not a whole number."}},
        {"decision": False, "context": {"reason": "The item must be an object, not null."}},
        {"decision": False, "context": {"reason": "The item must be an object, not a string."}},
        {"decision": False, "context": {"reason": "The item must be an object, not an array."}},
        {"decision": False, "context": {"reason": "`subject` must be an object, not a string."}},
        {"decision": False, "context": {"reason": "`context` must be an object, not an array."}},
        {"decision": False, "context": {"reason": "`action.name` must be a string, not null."}},
        {"decision": True},
    ]


def test_each_item_looks_up_its_key(pdp: Server, issuer: LiveIssuer, caller: httpx.Client) -> None:
    numbers = [_issue(pdp, issuer, scopes=["catalog:read"] if number % 2 else [])[0] for number in range(6)]
    items = [{"subject": {"type": "key", "id": str(number)}} for number in numbers]
    body = {"action": GET, "resource": TEAMS, "evaluations": items}
    answer = caller.post(EVALUATIONS, json=body).json()
    assert [item["decision"] for item in answer["evaluations"]] == [False, True] * 3


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"evaluations": {}}, "`evaluations` must be an array, not an object."),
        ({"evaluations": None}, "`evaluations` must be an array, not null."),
        ({"options": []}, "`options` must be an object, not an array."),
        ({"options": {"explain": "yes"}}, "`options.explain` must be true or false, not a string."),
        (
            {"options": {"evaluations_semantic": 1}},
            "`options.evaluations_semantic` must be a string, not a whole number.",
        ),
        (
            {"options": {"evaluations_semantic": "first"}},
            "`options.evaluations_semantic` must be one of execute_all, deny_on_first_deny, permit_on_first_permit.",
        ),
        ({"subject": "alice"}, "`subject` must be an object, not a string."),
        ({"subject": {"type": "user", "id": 7}}, "`subject.id` must be a string, not a whole number."),
        ({"subject": {"properties": "x"}}, "`subject.properties` must be an object, not a string."),
        ({"resource": {"type": True}}, "`resource.type` must be a string, not true or false."),
        ({"context": "x"}, "`context` must be an object, not a string."),
        ({"action": None}, "`action` must be an object, not null."),
    ],
)
def test_a_fault_of_the_whole_batch_is_400(caller: httpx.Client, body: Json, detail: str) -> None:
    answer = caller.post(EVALUATIONS, json={**question(READER, "GET", TEAMS), "evaluations": [{}], **body})
    assert (answer.status_code, answer.json()) == (400, {"detail": detail})


def test_a_body_with_a_content_encoding_is_refused(caller: httpx.Client) -> None:
    body = b'{"subject": {"type": "user", "id": "\xe9"}}'
    for headers in ({"Content-Type": "application/json; charset=latin-1"}, {"Content-Type": "application/json"}):
        assert caller.post(EVALUATION, content=body, headers=headers).status_code == 400
    gzip = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert caller.post(EVALUATION, content=b"{}", headers=gzip).status_code == 400
    good = {"Content-Type": "Application/JSON; charset=UTF-8"}
    sent = json.dumps(question(READER, "GET", TEAMS)).encode()
    assert caller.post(EVALUATION, content=sent, headers=good).json() == {"decision": True}
    assert caller.get(EVALUATION).status_code == 405


def test_every_answer_is_in_the_decision_log(own_server: Server, issuer: LiveIssuer) -> None:
    number, _ = _issue(own_server, issuer, scopes=["catalog:read"])
    subjects: list[Json] = [
        {"type": "key", "id": str(number)},
        user("user_asked"),
        {"type": "service", "id": "nightly"},
        {"type": "key", "id": "999999"},
    ]
    items = [{"subject": subject} for subject in subjects] + [
        {"subject": READER, "resource": {"type": "route", "id": "/x"}}
    ]
    with own_server.client(issuer.token(permissions=["decisions:evaluate", "decisions:read"])) as client:
        sent = {"X-Request-ID": "asked-1"}
        body = {"action": GET, "resource": {"type": "route", "id": "/api/v1/teams/7"}, "evaluations": items}
        client.post(EVALUATIONS, json=body, headers=sent).raise_for_status()

        def noted() -> list[Json]:
            found = client.get("/api/v1/decisions/").json()["results"]
            return [one for one in found if one["door"] == "authzen" and one["request_id"] == "asked-1"]

        assert eventually(lambda: len(noted()) == len(items))
        kept = [
            (one["subject"], one["method"], one["key_id"], one["route"], one["verdict"] == "allow") for one in noted()
        ]
    template = "/api/v1/teams/{team_id}"
    expected = [
        ("user_owner", "api_key", number, template, True),
        ("user_asked", "jwt", None, template, False),
        ("service:nightly", "anonymous", None, template, False),
        ("", None, None, "", False),
        ("user_reader", "jwt", None, "", False),
    ]
    assert sorted(map(str, kept)) == sorted(map(str, expected))


def test_a_reload_applies_to_the_next_evaluation(own_server: Server, issuer: LiveIssuer) -> None:
    with own_server.client(issuer.token(permissions="decisions:evaluate")) as client:
        asked = question(user("user_new"), "GET", TEAMS)
        assert client.post(EVALUATION, json=asked).json() == {"decision": False}
        folder = own_server.policy_dir / "entities"
        folder.mkdir()
        (folder / "people.yaml").write_text(
            "subjects:\n  - {type: user, id: user_new, properties: {permissions: catalog:read}}\n# end\n"
        )
        own_server.wait_for_log(lambda entry: entry.get("event") == "policy swapped")
        assert client.post(EVALUATION, json=asked).json() == {"decision": True}


def test_discovery_needs_the_public_address(server: Server) -> None:
    answer = httpx.get(f"{server.url}/.well-known/authzen-configuration")
    assert answer.status_code == 404
    assert "AUTHZ_PUBLIC_URL" in answer.json()["detail"]


def test_the_openapi_document_describes_evaluations(server: Server) -> None:
    paths = httpx.get(f"{server.url}/openapi.json", timeout=60).json()["paths"]
    body = paths[EVALUATION]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["subject", "action", "resource"]
    assert body["properties"]["subject"]["required"] == ["type", "id"]
    subject = paths["/access/v1/search/subject"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert subject["properties"]["subject"]["required"] == ["type"]
    action = paths["/access/v1/search/action"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert action["required"] == ["subject", "resource"]
    many = paths[EVALUATIONS]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert many["properties"]["evaluations"]["maxItems"] == 1000
    assert paths[EVALUATION]["post"]["x-needs"] == [["decisions:evaluate"]]
