"""Reverse queries to a real server: the reach of grants, the callers of an endpoint, and the scopes that a key uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

REACH, WHO, USAGE = (f"/api/v1/policies/{name}" for name in ("reach", "who", "usage"))
Json = dict[str, Any]


@pytest.fixture
def security(own_server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with own_server.client(issuer.token(sub="user_sec", permissions=["policies:read", "decisions:read"])) as client:
        yield client


def issue(server: Server, issuer: LiveIssuer, *scopes: str) -> tuple[int, str]:
    with server.client(issuer.token(sub="user_owner", permissions=list(scopes))) as client:
        issued = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": list(scopes)}).json()
    return issued["api_key"]["id"], issued["plaintext"]


def revoke(server: Server, issuer: LiveIssuer, key_id: int) -> None:
    with server.client(issuer.token(sub="user_owner")) as owner:
        assert owner.post(f"/api/v1/api-keys/{key_id}/revoke").is_success


def query_api(client: httpx.Client, path: str, **query: Any) -> Json:
    answer = client.get(path, params=query or None)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def reached(client: httpx.Client, **query: Any) -> set[tuple[str, str]]:
    """The results of all pages, without repetitions."""
    page = query_api(client, REACH, **query)
    found = list(page["results"])
    while page["next"]:
        page = query_api(client, page["next"])
        found += page["results"]
    endpoints = [(each["action"], each["resource"]) for each in found]
    assert len(set(endpoints)) == len(endpoints)
    return set(endpoints)


def test_the_reach_of_grants_equals_the_decisions(
    own_server: Server, issuer: LiveIssuer, security: httpx.Client
) -> None:
    key_id, key = issue(own_server, issuer, "catalog:read")
    found = reached(security, key_id=key_id)
    assert ("GET", "/api/v1/teams/{team_id}") in found
    assert found == reached(security, grants=f"auth:api_key env:live key:{key_id} catalog:read")
    templates = security.get("/openapi.json").json()["paths"]
    probed = 0
    with own_server.client(key) as program:
        for template in templates:
            path = "".join(
                part if at % 2 == 0 else "7" for at, part in enumerate(template.replace("}", "{").split("{"))
            )
            verdict = program.get(path).status_code not in (401, 403)
            if "get" in templates[template]:
                probed += 1
                assert verdict is (("GET", template.rstrip("/") or "/") in found), template
    assert probed > 30
    everything = reached(security, grants="auth:jwt role:admin")
    assert len(everything) > 100  # more than a page
    assert found - everything == set()
    revoke(own_server, issuer, key_id)
    page = query_api(security, REACH, key_id=key_id)
    assert page["results"] == []
    assert page["key"]["refused"].startswith("it was revoked")


def test_callers_of_an_endpoint_are_listed_by_grants_roles_users_and_keys(
    own_server: Server, issuer: LiveIssuer, security: httpx.Client
) -> None:
    roles = own_server.policy_dir / "roles.csv"
    roles.write_text(roles.read_text().replace("# end", "\ng, user:ann, role:editor\ng, user:bob, role:viewer\n# end"))
    reader, _ = issue(own_server, issuer, "catalog:read")
    writer, _ = issue(own_server, issuer, "catalog:read", "catalog:write")
    gone, _ = issue(own_server, issuer, "catalog:write")
    revoke(own_server, issuer, gone)
    question = {"action": "POST", "resource": "/api/v1/teams"}
    assert eventually(
        lambda: any(each["grant"] == "user:ann" for each in query_api(security, WHO, **question)["holders"])
    )
    found = query_api(security, WHO, **question)
    (way,) = found["ways"]
    assert (way["grants"], way["roles"], way["conditional"]) == (
        ["catalog:write"],
        ["role:admin", "role:editor"],
        False,
    )
    assert way["rule"]["row"] == "p, catalog:write, /api/v1/teams/**, POST|PUT|PATCH|DELETE, allow"
    assert [each["grant"] for each in found["holders"]] == ["role:admin", "role:editor", "user:ann"]
    assert [(each["id"], each["owner"]) for each in found["keys"]] == [(writer, "user_owner")]
    found = query_api(security, WHO, action="GET", resource="/api/v1/teams/7")
    assert found["resource"] == "/api/v1/teams/{team_id}"
    assert [each["id"] for each in found["keys"]] == [reader, writer]
    assert "user:bob" in [each["grant"] for each in found["holders"]]
    assert query_api(security, WHO, action="GET", resource="/healthz")["ways"][0]["grants"] == []


def test_usage_distinguishes_used_and_unused_scopes(
    own_server: Server, issuer: LiveIssuer, security: httpx.Client
) -> None:
    key_id, key = issue(own_server, issuer, "catalog:read", "catalog:write", "holdings:read")
    assert security.get(USAGE).json()["errors"] == [{"field": "key_id", "message": "is required"}]
    before = query_api(security, USAGE, key_id=key_id)
    assert (before["used"], before["unused"]) == ([], ["catalog:read", "catalog:write", "holdings:read"])
    with own_server.client(key) as program:
        for _ in range(3):
            assert program.get("/api/v1/teams").status_code == 200
        assert program.get("/api/v1/sources").status_code == 200
        assert program.post("/api/v1/sources", json={}).status_code == 403  # a denial does not count as use
        assert program.get("/healthz").status_code == 200  # needs no scope

    def used() -> dict[str, int]:
        found = query_api(security, USAGE, key_id=key_id, days=1)
        return {each["scope"]: each["count"] for each in found["used"]}

    assert eventually(lambda: used() == {"catalog:read": 3, "holdings:read": 1})
    found = query_api(security, USAGE, key_id=key_id)
    assert (found["unused"], found["sufficient_scopes"]) == (["catalog:write"], ["catalog:read", "holdings:read"])
    assert (found["sample"], found["no_longer_allowed"], found["key"]["id"]) == (1.0, [], key_id)
    assert found["logged_since"] is not None


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (REACH, 400, "one of"),
        (f"{REACH}?grants=auth:jwt&key_id=1", 400, "one of"),
        (f"{REACH}?grants=catlog:read", 400, "did you mean `catalog:read`?"),
        (f"{REACH}?grants=auth:jwt&cursor=x", 400, "cursor"),
        (f"{REACH}?key_id=4711", 404, "no API key 4711"),
        (f"{REACH}?key_id=0", 400, ""),
        (f"{WHO}?action=GET", 400, ""),
        (f"{WHO}?action=GET&resource=/api/v1/tems", 400, "callers get 404"),
        (f"{WHO}?action=PUT&resource=/api/v1/teams", 400, "callers get 405"),
        (f"{USAGE}?key_id=4711", 404, "no API key 4711"),
        (f"{USAGE}?key_id=1&days=0", 400, ""),
    ],
)
def test_invalid_questions_are_refused(server: Server, issuer: LiveIssuer, path: str, status: int, said: str) -> None:
    with server.client(issuer.token(permissions=["policies:read", "decisions:read"])) as client:
        answer = client.get(path)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["detail"]
