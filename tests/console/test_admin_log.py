"""Each administrative act has one entry in the admin log, whatever its door, and no act succeeds without its entry."""

from __future__ import annotations

import asyncio
import os
import pwd
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from app.db.engine import open_engine
from tests.console.acts import Act, Administrators, rows
from tests.console.conftest import console_server
from tests.support.databases import KINDS
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

ACCOUNT = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
REFUSE = {
    "sqlite": [
        "CREATE TRIGGER refuse_acts BEFORE INSERT ON admin_actions BEGIN SELECT RAISE(ABORT, 'made up'); END",
    ],
    "postgresql": [
        "CREATE FUNCTION refuse_act() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'made up'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER refuse_acts BEFORE INSERT ON admin_actions FOR EACH ROW EXECUTE FUNCTION refuse_act()",
    ],
}
# The state that acts change, except the policy in shadow.
STATE = (
    "SELECT id, revoked_at, expires_at, successor_id FROM api_keys ORDER BY id",
    "SELECT id, revision FROM policy_revisions ORDER BY id",
    "SELECT id FROM console_sessions ORDER BY id",
    "SELECT id, name, secret_digest, disabled_at FROM oauth_clients ORDER BY id",
    "SELECT subject, blocked_at FROM people ORDER BY subject",
)


def sql(server: Server, *statements: str) -> list[Any]:
    """Run statements in the database of a server; the rows of all of them."""

    async def run() -> list[Any]:
        engine = open_engine(server.env["AUTHZ_DATABASE_URL"])
        found: list[Any] = []
        async with engine.begin() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
                found += map(tuple, result) if result.returns_rows else ()
        await engine.dispose()
        return found

    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, run()).result()


@pytest.fixture(scope="module", params=KINDS)
def administered(
    issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[tuple[Server, Administrators]]:
    """A server with the console on each database, and its administrators."""
    directory = tmp_path_factory.mktemp("administered")
    settings: dict[str, Any] = {"key_issues_per_minute": "100000"}
    if request.param == "postgresql":
        settings["database_url"] = request.getfixturevalue("postgres").new(prepared=True)
    with console_server(issuer, directory, **settings) as server:
        administrators = Administrators(server, issuer, directory)
        yield server, administrators
        administrators.close()


def test_each_act_by_each_door_has_one_entry(administered: tuple[Server, Administrators], issuer: LiveIssuer) -> None:
    server, administrators = administered

    before = 0

    def check(act: Act) -> dict[str, Any]:
        nonlocal before
        found: list[dict[str, Any]] = []

        def is_logged() -> bool:
            found[:] = [row for row in rows(server, issuer) if row["id"] > before]
            return bool(found)

        assert act.do(), act
        assert eventually(is_logged, 10), act
        (row,) = found
        before = row["id"]
        assert (row["action"], row["door"], row["actor"]) == (act.action, act.door, act.actor), act
        assert re.fullmatch(act.target, row["target"]), (act, row)
        return row

    def check_all(acts: Sequence[Act]) -> list[dict[str, Any]]:
        nonlocal before
        before = rows(server, issuer)[0]["id"]
        return [check(act) for act in acts]

    entries = check_all(administrators.by_api())
    assert all(row["method"] == "jwt" and row["request_id"] for row in entries)
    assert all(re.fullmatch("[0-9a-f]{16}", row["revision"]) for row in entries), "the policy that allowed it"
    assert entries[0]["details"]["name"] == "<i>k</i>"
    assert (entries[1]["details"]["grace_seconds"], entries[1]["details"]["successor"][:4]) == (60, "key:")
    reloaded = entries[5]
    assert reloaded["details"] == {"outcome": "unchanged", "added": 0, "removed": 0}
    assert entries[6]["details"]["parent"] == entries[6]["revision"] == reloaded["target"]

    entries = check_all(administrators.by_page())
    session = {row["session_id"] for row in entries if row["actor"] == "user_officer"}
    assert len(session) == 1
    assert None not in session
    started, ended = entries[-3], entries[-2]
    assert started["target"] == ended["target"] == f"session:{started['session_id']}"
    assert ended["session_id"] == started["session_id"]

    entries = check_all(administrators.by_command(ACCOUNT))
    assert all((row["method"], row["revision"], row["session_id"]) == (None, None, None) for row in entries)
    assert [row["details"].get("all_of_owner") for row in entries[:3]] == [False, False, True]
    assert eventually(lambda: administrators.active() == administrators.earlier)
    check_all([administrators.edit()])

    told = str(rows(server, issuer))
    assert not re.search("grd_(live|test)_[0-9a-f]{9}|eyJ", told), "no secret"


def test_an_act_that_changes_nothing_or_is_refused_has_no_entry(
    administered: tuple[Server, Administrators], issuer: LiveIssuer
) -> None:
    server, administrators = administered
    revoked = administrators.issue()
    with administrators.api() as client:
        assert client.post(f"/api/v1/api-keys/{revoked}/revoke").is_success
        before = rows(server, issuer)
        active = client.get("/api/v1/policies").json()["revision"]
        files = client.get(f"/api/v1/policies/history/{active}").json()["files"]
        publish = {"files": files, "parent": active, "message": "Nothing."}
        assert client.post(f"/api/v1/api-keys/{revoked}/revoke").is_success
        assert client.post("/api/v1/policies/publish", json=publish).is_success
        assert client.post("/api/v1/policies/publish", json={**publish, "dry_run": True}).is_success
        bad = {**files, "catalog.csv": "p, nonsense\n# end\n"}
        for path, body, status in (
            ("api-keys", {"name": "k", "scopes": ["holdings:read"]}, 403),
            ("api-keys", {"name": "k", "scopes": ["no:such"]}, 400),
            (f"api-keys/{revoked}/rotate", {}, 409),
            ("api-keys/999999/revoke", None, 404),
            ("all-keys/revoke", {"owner": "user_unknown"}, 200),
            ("policies/publish", {**publish, "files": bad}, 422),
            ("policies/publish", {**publish, "parent": "0" * 16}, 409),
        ):
            answer = client.post(f"/api/v1/{path}", json=body)
            assert answer.status_code == status, (path, answer.text)
        assert client.delete("/api/v1/policies/shadow").status_code == 404
    with server.client(issuer.token(sub="user_other", permissions=["catalog:read"])) as other:
        assert other.post(f"/api/v1/api-keys/{administrators.issue()}/revoke").status_code == 404
        assert other.post("/api/v1/policies/reload").status_code == 403
        assert other.post("/api/v1/all-keys/revoke", json={"owner": "user_admin"}).status_code == 403
    assert [row["action"] for row in rows(server, issuer) if row not in before] == ["key.issue"]


def test_an_act_fails_if_its_entry_cannot_be_written(
    administered: tuple[Server, Administrators], issuer: LiveIssuer
) -> None:
    server, administrators = administered
    shadowed = administrators.by_api()[3]
    acts = [
        *(act for act in administrators.by_api() if act.action != "policy.shadow"),
        *(act for act in administrators.by_page() if act.action not in ("policy.shadow", "session.end")),
        *administrators.by_command(ACCOUNT),
    ]
    assert shadowed.do()
    sql(server, *REFUSE[server.env["AUTHZ_DATABASE_URL"].partition(":")[0]])
    before, active = sql(server, *STATE), administrators.active()
    entries = rows(server, issuer)

    def shadow() -> str | None:
        with administrators.api() as client:
            found: str | None = client.get("/api/v1/policies/shadow").json().get("revision")
        return found

    in_shadow = shadow()
    assert in_shadow
    for act in acts:
        assert not _done(act), act
        assert sql(server, *STATE) == before, act
        assert (administrators.active(), shadow()) == (active, in_shadow), act
    assert rows(server, issuer) == entries


def _done(act: Act) -> bool:
    try:
        return act.do()
    except Exception as error:  # noqa: BLE001  # a command that is run in this process shows its traceback
        assert "made up" in str(error)
        return False
