"""Replay over HTTP over the log of a real server: its lines, and its permissions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from app.db.compact_ids import compact
from tests.support.issuer import LiveIssuer
from tests.support.logged_requests import READ_TEAMS, log_requests_of_two_users
from tests.support.server import Server

PATH = "/api/v1/policies/replay/"
MOVED = READ_TEAMS.replace("catalog:read", "holdings:read")
Line = dict[str, Any]


def candidate(server: Server, row: str = MOVED) -> dict[str, str]:
    """The policy files of the server, with another row for reading teams."""
    names = [*server.policy_dir.glob("*.csv"), *server.policy_dir.glob("tests/*.yaml")]
    names += [server.policy_dir / "model.conf", server.policy_dir / "permissions.toml"]
    files = {str(path.relative_to(server.policy_dir)): path.read_text() for path in names}
    assert READ_TEAMS in files["catalog.csv"]
    return {**files, "catalog.csv": files["catalog.csv"].replace(READ_TEAMS, row)}


@pytest.fixture
def logged_server(own_server: Server, issuer: LiveIssuer) -> Server:
    """A server with requests of two users in its log."""
    log_requests_of_two_users(own_server, issuer)
    return own_server


@pytest.fixture
def admin(logged_server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    token = issuer.token(sub="user_admin", permissions=["policies:write", "decisions:read"])
    with logged_server.client(token) as client:
        yield client


def replay(admin: httpx.Client, files: dict[str, str], **more: Any) -> list[Line]:
    with admin.stream("POST", PATH, json={"files": files, **more}) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.iter_lines()]


def test_progress_lines_precede_the_result(logged_server: Server, admin: httpx.Client) -> None:
    *progress, last = replay(admin, candidate(logged_server))
    percents = [line["progress"]["percent"] for line in progress]
    assert (percents[0], percents[-1]) == (0, 100)
    assert percents == sorted(percents)
    assert list(last) == ["result"]
    result = last["result"]
    own = result["counts"]["same"]  # the request of the replay itself may be in the log
    assert own in (0, 1)
    assert progress[-1]["progress"]["decisions"] == 6 + own
    assert result["counts"] == {"same": own, "gained": 2, "lost": 3, "condition": 0, "unverified": 1, "unknown": 0}
    assert (result["decisions"], result["last"], result["left_out"]) == (6 + own, "7d", 0)
    gained, lost = result["changes"]
    assert (gained["change"], gained["subject"], gained["count"], gained["example"]) == (
        "gained",
        "user_other",
        2,
        "other-1",
    )
    assert gained["rule"]["row"] == MOVED
    assert lost == {
        "change": "lost",
        "subject": "user_reader",
        "method": "jwt",
        "key_id": None,
        "client_id": None,
        "action": "GET",
        "route": "/api/v1/teams",
        "count": 3,
        "example": "reader-2",
        "reason": "missing grants",
        "rule": None,
        "missing": ["holdings:read"],
    }


def test_the_number_of_changes_is_limited_as_requested(logged_server: Server, admin: httpx.Client) -> None:
    result = replay(admin, candidate(logged_server), limit=1)[-1]["result"]
    assert [change["subject"] for change in result["changes"]] == ["user_other"]
    assert (result["left_out"], result["counts"]["lost"]) == (3, 3)
    nothing = replay(admin, candidate(logged_server), last="2999-01-01")[-1]["result"]
    assert (nothing["decisions"], nothing["changes"]) == (0, [])


def test_faults_and_invalid_fields_are_refused_before_streaming(logged_server: Server, admin: httpx.Client) -> None:
    faulty = admin.post(PATH, json={"files": candidate(logged_server, READ_TEAMS.replace("allow", "alow"))})
    assert (faulty.status_code, faulty.headers["content-type"]) == (422, "application/json")
    assert faulty.json()["detail"] == "The policy has 1 fault."
    assert faulty.json()["faults"][0]["hint"] == "did you mean `allow`?"
    for more, field in (({"last": "yesterday"}, "last"), ({"limit": 1001}, "limit"), ({"colour": 1}, "colour")):
        bad = admin.post(PATH, json={"files": candidate(logged_server), **more})
        assert bad.status_code == 400
        assert [error["field"] for error in bad.json()["errors"]] == [field]


def test_an_unreadable_log_ends_the_stream_with_an_error(logged_server: Server, admin: httpx.Client) -> None:
    with closing(sqlite3.connect(logged_server.directory / "authz.db")) as database:
        database.execute("ALTER TABLE decision_rows RENAME TO elsewhere")
        database.commit()
    lines = replay(admin, candidate(logged_server))
    assert [list(line) for line in lines] == [["progress"], ["error"]]
    with closing(sqlite3.connect(logged_server.directory / "authz.db")) as database:
        database.execute("ALTER TABLE elsewhere RENAME TO decision_rows")
        database.commit()
    assert list(replay(admin, candidate(logged_server))[-1]) == ["result"], "the next caller has its turn"


def test_a_disconnect_within_a_replay_releases_everything(logged_server: Server, admin: httpx.Client) -> None:
    with closing(sqlite3.connect(logged_server.directory / "authz.db")) as database:
        columns = [
            row[1] for row in database.execute("PRAGMA table_info(decision_rows)") if row[1] not in ("id", "second")
        ]
        kept = ", ".join(columns)
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) "
            f"INSERT INTO decision_rows (second, {kept}) SELECT second - i * 9, {kept} FROM n, "
            "(SELECT * FROM decision_rows WHERE request_id = ?)",
            (compact("reader-0"),),
        )
        database.commit()
    for _ in range(6):
        with admin.stream("POST", PATH, json={"files": candidate(logged_server)}) as answer:
            lines = answer.iter_lines()
            next(lines)
            next(lines)
    result = replay(admin, candidate(logged_server))[-1]["result"]
    assert result["counts"]["lost"] == 60_003
    logged_server.stop()
    assert [entry for entry in logged_server.log if entry.get("level") == "error"] == []


@pytest.mark.parametrize("held", [["policies:write"], ["decisions:read"], ["policies:write", "policies:read"]])
def test_a_replay_needs_both_permissions(server: Server, issuer: LiveIssuer, held: list[str]) -> None:
    with server.client(issuer.token(permissions=held)) as client:
        assert client.post(PATH, json={"files": {}}).status_code == 403
