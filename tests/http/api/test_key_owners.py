"""When a role row is removed, every door limits the keys of that user to what their token stated at the issue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, eventually

OWNER, SECRET, ROLE = "user_leaver", "s" * 32, "g, user:user_leaver, role:editor"
TEAMS = "/api/v1/teams/"
KEYS, WHO = "/api/v1/api-keys/", "/api/v1/policies/who"
Json = dict[str, Any]


def write_roles(server: Server, *rows: str) -> None:
    """Replace the rows about users by these."""
    file = server.policy_dir / "roles.csv"
    kept = [line for line in file.read_text().splitlines() if not line.startswith(("g, user:", "# end"))]
    file.write_text("\n".join([*kept, *rows, "# end", ""]))


@pytest.fixture
def server(issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    made = Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, gateway_secrets=SECRET
    )
    write_roles(made, ROLE)
    with made as started:
        yield started


@pytest.fixture
def operator(server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    permissions = ["policies:read", "decisions:read", "tokens:introspect", "decisions:evaluate"]
    with server.client(issuer.token(sub="user_operator", permissions=permissions)) as client:
        yield client


def issue(server: Server, token: str, **body: Any) -> Json:
    with server.client(token) as client:
        answer = client.post(KEYS, json={"name": "k", **body})
    assert answer.status_code == 201, answer.text
    issued: Json = answer.json()
    return issued


class Doors:
    """The verdict of every door on one key: whether it may read leagues."""

    def __init__(self, server: Server, operator: httpx.Client, issued: Json) -> None:
        self.server, self.operator = server, operator
        self.id, self.token = issued["api_key"]["id"], issued["plaintext"]

    def is_open_in_app(self) -> bool:
        with self.server.client(self.token) as client:
            return client.get(TEAMS).status_code == 200

    def answers(self) -> dict[str, bool]:
        """The answers of all doors. The policy must not change meanwhile, since pages of `reach` are those of one."""
        ask = self.operator
        with self.server.client(self.token) as client:
            app = client.get(TEAMS).status_code == 200
            headers = {"X-Original-Method": "GET", "X-Original-URI": TEAMS, "X-Gateway-Secret": SECRET}
            gateway = client.get("/gateway/nginx", headers=headers).status_code == 200
        subject = {"type": "key", "id": str(self.id)}
        question = {"subject": subject, "action": {"name": "GET"}, "resource": {"type": "route", "id": TEAMS}}
        found = {"subject": {"type": "key"}, "action": {"name": "GET"}, "resource": {"type": "route", "id": TEAMS}}
        reached, page = list[Json](), f"/api/v1/policies/reach?key_id={self.id}"
        while page:
            answer = ask.get(page).json()
            reached, page = reached + answer["results"], answer["next"]
        explained = ask.post(
            "/api/v1/policies/explain", json={"key_id": self.id, "action": "GET", "resource": TEAMS}
        ).json()
        who = ask.get(WHO, params={"action": "GET", "resource": TEAMS}).json()["keys"]
        scope = ask.post("/oauth/introspect", data={"token": self.token}).json()["scope"].split()
        return {
            "app": app,
            "gateway": gateway,
            "authzen": ask.post("/access/v1/evaluation", json=question).json()["decision"],
            "search": subject in ask.post("/access/v1/search/subject", json=found).json()["results"],
            "introspection": "catalog:read" in scope,
            "reach": any((each["action"], each["resource"]) == ("GET", "/api/v1/teams") for each in reached),
            "who": self.id in [key["id"] for key in who],
            "explain": explained["now"]["allowed"],
        }


def test_removing_a_role_ends_its_scopes_at_every_door(
    server: Server, operator: httpx.Client, issuer: LiveIssuer
) -> None:
    token = issuer.token(sub=OWNER, permissions=["holdings:read"])
    by_role = Doors(server, operator, issue(server, token, scopes=["catalog:read", "holdings:read"]))
    stating = issuer.token(sub=OWNER, permissions=["catalog:read"])
    by_token = Doors(server, operator, issue(server, stating, scopes=["catalog:read"]))
    with server.client(token) as client:
        assert client.post(f"{KEYS}{by_token.id}/rotate/").status_code == 201
        rotated = client.get(KEYS).json()[0]
    assert by_role.answers() == by_token.answers() == dict.fromkeys(by_role.answers(), True)

    write_roles(server)
    assert eventually(lambda: not by_role.is_open_in_app())
    assert by_role.answers() == dict.fromkeys(by_role.answers(), False)
    assert set(by_token.answers().values()) == {True}, "scopes that the token stated stay until the key ends"
    with server.client(by_role.token) as client:
        assert client.get("/api/v1/sources/").status_code == 200, "and so does the other scope of the same key"
    introspected = operator.post("/oauth/introspect", data={"token": by_role.token}).json()
    assert introspected["scope"] == "holdings:read"
    asked = {"key_id": by_role.id, "action": "GET", "resource": TEAMS}
    key = operator.post("/api/v1/policies/explain", json=asked).json()["key"]
    assert (key["scopes"], key["lost"]) == (["catalog:read", "holdings:read"], ["catalog:read"])
    usage = ("/api/v1/policies/usage", {"key_id": by_role.id})
    closed = {"action": "GET", "resource": "/api/v1/teams"}
    # Its decisions are in the log after the next write.
    assert eventually(lambda: closed in operator.get(usage[0], params=usage[1]).json()["no_longer_allowed"])
    # The token that issued the successor did not state this scope.
    state = operator.get("/api/v1/policies/reach", params={"key_id": rotated["id"]}).json()
    assert state["key"]["lost"] == ["catalog:read"]
    with server.client(token) as client:
        assert client.post(f"{KEYS}{by_role.id}/rotate/").status_code == 403

    write_roles(server, "g, user:user_leaver, role:viewer")
    assert eventually(by_role.is_open_in_app)
    assert set(by_role.answers().values()) == {True}


def test_a_condition_reads_only_permissions_in_force(server: Server, issuer: LiveIssuer) -> None:
    rows = server.policy_dir / "catalog.csv"
    row = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
    text = rows.read_text()
    assert row in text
    when = """'catalog:write' in subject.permissions && !subject.permissions.exists(p, p.contains('::'))"""
    rows.write_text(text.replace(row, f'p, auth:api_key, /api/v1/teams/**, GET|HEAD, allow, "{when}"\n{row}'))
    token = issue(server, issuer.token(sub=OWNER), scopes=["catalog:write"])["plaintext"]

    def status() -> int:
        with server.client(token) as client:
            return client.get(TEAMS).status_code

    assert eventually(lambda: status() == 200)
    write_roles(server, "g, user:user_leaver, role:viewer")
    assert eventually(lambda: status() == 403)


def test_a_replay_shows_the_effect_of_a_removed_role(
    server: Server, operator: httpx.Client, issuer: LiveIssuer
) -> None:
    issued = issue(server, issuer.token(sub=OWNER), scopes=["catalog:read"])
    with server.client(issued["plaintext"]) as client:
        assert client.get(TEAMS, headers={"X-Request-ID": "before-it-goes"}).status_code == 200
    log = "/api/v1/decisions"
    assert eventually(lambda: "before-it-goes" in operator.get(log).text)
    with server.client(issuer.token(permissions=["decisions:read", "policies:write"])) as client:
        files = {
            file.name: file.read_text()
            for file in server.policy_dir.iterdir()
            if file.suffix in (".conf", ".csv", ".toml")
        }
        files["roles.csv"] = files["roles.csv"].replace(ROLE + "\n", "")
        answer = client.post("/api/v1/policies/replay", json={"files": files})
    assert answer.status_code == 200, answer.text
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert any(f'"key_id": {issued["api_key"]["id"]}' in json.dumps(each) for each in told), told
