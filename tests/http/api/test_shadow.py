"""A policy in shadow in a real server: it is compared with each decision, and changes none."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

PATH = "/api/v1/policies/shadow/"
READ_TEAMS = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
Answer = dict[str, Any]


@pytest.fixture
def admin(own_server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    token = issuer.token(sub="user_admin", permissions=["policies:read", "policies:write"])
    with own_server.client(token) as client:
        yield client


def candidate(server: Server, row: str = READ_TEAMS.replace("catalog:read", "holdings:read")) -> dict[str, str]:
    """The policy files of the server, with another row for reading teams."""
    names = [*server.policy_dir.glob("*.csv"), *server.policy_dir.glob("tests/*.yaml")]
    names += [server.policy_dir / "model.conf", server.policy_dir / "permissions.toml"]
    files = {str(path.relative_to(server.policy_dir)): path.read_text() for path in names}
    assert READ_TEAMS in files["catalog.csv"]
    return {**files, "catalog.csv": files["catalog.csv"].replace(READ_TEAMS, row)}


def deploy(admin: httpx.Client, files: dict[str, str]) -> Answer:
    answer = admin.put(PATH, json={"files": files, "message": "Try it."})
    assert answer.status_code == 200, answer.text
    shown: Answer = answer.json()
    return shown


def shown(admin: httpx.Client) -> Answer:
    answer = admin.get(PATH)
    assert answer.status_code == 200, answer.text
    view: Answer = answer.json()
    return view


def teams(server: Server, token: str | None, path: str = "/api/v1/teams/") -> int:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(server.url + path, headers=headers, timeout=20).status_code


def test_differences_are_counted_shown_and_logged_and_nothing_changes(
    own_server: Server, issuer: LiveIssuer, admin: httpx.Client
) -> None:
    reader = issuer.token(sub="user_reader", permissions=["catalog:read"])
    other = issuer.token(sub="user_other", permissions=["holdings:read"])
    active = admin.get("/api/v1/policies/").json()["revision"]
    fresh = deploy(admin, candidate(own_server))
    assert (fresh["active"], fresh["message"], fresh["author"]) == (active, "Try it.", "user_admin")
    assert (fresh["compared"], fresh["differences"]) == (0, [])
    assert fresh["revision"] != active
    for _ in range(3):
        assert teams(own_server, reader) == 200
    assert teams(own_server, other) == 403
    assert teams(own_server, None) == 401
    assert teams(own_server, issuer.token(exp=1)) == 401
    assert eventually(lambda: shown(admin)["differing"] == 4 and shown(admin)["compared"] >= 5)
    view = shown(admin)
    assert (view["not_compared"], view["missed"], view["other"]) == (0, 0, 0)
    lost, gained = view["differences"]
    assert lost.pop("last").endswith("Z")
    assert lost == {
        "action": "GET",
        "route": "/api/v1/teams",
        "subject": "user_reader",
        "key_id": None,
        "client_id": None,
        "active": "allow",
        "shadow": "deny",
        "reason": "missing grants",
        "rule": None,
        "missing": ["holdings:read"],
        "count": 3,
    }
    assert (gained["subject"], gained["active"], gained["shadow"], gained["count"]) == (
        "user_other",
        "deny",
        "allow",
        1,
    )
    assert gained["rule"]["row"] == READ_TEAMS.replace("catalog:read", "holdings:read")
    told = [entry for entry in own_server.written_log() if entry.get("event") == "the shadow would decide differently"]
    assert [(entry["subject"], entry["shadow"]) for entry in told] == [("user_reader", "deny"), ("user_other", "allow")]
    assert admin.get("/api/v1/policies/").json()["revision"] == active
    assert teams(own_server, reader) == 200


def test_decisions_that_depend_on_a_condition_are_not_compared(
    own_server: Server, issuer: LiveIssuer, admin: httpx.Client
) -> None:
    deploy(admin, candidate(own_server, READ_TEAMS + ", \"request.ip == '10.0.0.1'\""))
    assert teams(own_server, issuer.token(permissions=["catalog:read"])) == 200
    assert eventually(lambda: shown(admin)["not_compared"] == 1)
    assert shown(admin)["differing"] == 0


def test_every_decision_is_compared_even_if_few_are_logged(issuer: LiveIssuer, own_server: Server) -> None:
    own_server.stop()
    own_server.lines.clear()
    own_server.env["AUTHZ_DECISION_LOG_SAMPLE"] = "0"
    token = issuer.token(sub="user_admin", permissions=["policies:read", "policies:write"])
    with own_server.start().client(token) as admin:
        deploy(admin, candidate(own_server))
        reader = issuer.token(sub="user_reader", permissions=["catalog:read"])
        assert [teams(own_server, reader) for _ in range(5)] == [200] * 5
        assert eventually(lambda: shown(admin)["differing"] == 5)


def test_a_withdrawal_is_audited(own_server: Server, admin: httpx.Client) -> None:
    assert admin.get(PATH).json() == {"detail": "No policy is in shadow."}
    assert admin.delete(PATH).status_code == 404
    revision = deploy(admin, candidate(own_server))["revision"]
    assert admin.head(PATH).status_code == 200
    assert admin.delete(PATH).status_code == 204
    assert admin.get(PATH).status_code == 404
    with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
        stored = database.execute("SELECT action, target, author, message FROM admin_actions ORDER BY id").fetchall()
    assert stored == [
        ("policy.shadow", revision, "user_admin", "Try it."),
        ("policy.shadow.withdraw", revision, "user_admin", ""),
    ]


def test_a_policy_with_faults_is_refused_and_the_shadow_stays(own_server: Server, admin: httpx.Client) -> None:
    revision = deploy(admin, candidate(own_server))["revision"]
    refused = admin.put(
        PATH, json={"files": candidate(own_server, READ_TEAMS.replace("allow", "alow")), "message": "x"}
    )
    assert refused.status_code == 422
    assert refused.json()["detail"] == "The policy has 1 fault."
    assert refused.json()["faults"][0]["hint"] == "did you mean `allow`?"
    assert admin.put(PATH, json={"files": {"../evil.csv": "# end\n"}, "message": "x"}).status_code == 422
    assert admin.put(PATH, json={"files": {}, "message": "x"}).status_code == 400
    assert admin.put(PATH, json={"files": candidate(own_server)}).json()["errors"][0]["field"] == "message"
    assert shown(admin)["revision"] == revision


def test_deploying_needs_policies_write(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=["policies:read", "decisions:read"])) as reader:
        assert reader.put(PATH, json={}).status_code == 403
        assert reader.delete(PATH).status_code == 403
        assert reader.get(PATH).status_code == 404
    with server.client(issuer.token(permissions=["policies:write"])) as writer:
        assert writer.get(PATH).status_code == 403
    assert httpx.get(server.url + PATH).status_code == 401
