"""The decision log of a real server: entries, permissions, and secrets that are never logged."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db.compact_ids import compact, expand_request_id
from app.db.decision_times import join_time
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, eventually

PATH = "/api/v1/decisions/"
Row = dict[str, Any]


@pytest.fixture
def reader(own_server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with own_server.client(issuer.token(sub="user_reader", permissions=["decisions:read"])) as client:
        yield client


def rows(reader: httpx.Client, **filters: str) -> list[Row]:
    answer = reader.get(PATH, params=filters)
    assert answer.status_code == 200, answer.text
    results: list[Row] = answer.json()["results"]
    return results


def logged(reader: httpx.Client, request_id: str) -> Row:
    """The decision on a request, once it is written."""
    assert eventually(lambda: len(rows(reader, request_id=request_id)) == 1), request_id
    return rows(reader, request_id=request_id)[0]


def ask(server: Server, path: str, request_id: str, token: str | None = None, method: str = "GET") -> httpx.Response:
    headers = {"X-Request-ID": request_id}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return httpx.request(method, server.url + path, headers=headers, timeout=20)


def issue(server: Server, issuer: LiveIssuer, *scopes: str) -> tuple[int, str]:
    with server.client(issuer.token(sub="user_owner", permissions=list(scopes))) as client:
        issued = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": list(scopes)}).json()
    return issued["api_key"]["id"], issued["plaintext"]


def test_every_outcome_is_logged_with_its_reason(own_server: Server, issuer: LiveIssuer, reader: httpx.Client) -> None:
    token = issuer.token(sub="user_a", permissions=["catalog:read"], jti="token-1")
    key_id, key = issue(own_server, issuer, "catalog:read")
    ask(own_server, "/api/v1/teams/7/", "allowed", token)
    ask(own_server, "/api/v1/sources/", "denied", token)
    ask(own_server, "/api/v1/teams/7/", "program", key)
    ask(own_server, "/api/v1/teams/", "stranger")
    ask(own_server, "/api/v1/teams/", "expired", issuer.token(exp=1))
    ask(own_server, "/api/v1/teams/", "malformed", "grd_live_x", method="POST")
    allowed = logged(reader, "allowed")
    revision = reader.get(PATH).json()["results"][0]["revision"]
    assert {name: allowed[name] for name in allowed if name not in ("id", "time", "latency_us")} == {
        "request_id": "allowed",
        "door": "app",
        "subject": "user_a",
        "method": "jwt",
        "key_id": None,
        "client_id": None,
        "impersonator": None,
        "organization": None,
        "token_id": "token-1",
        "action": "GET",
        "route": "/api/v1/teams/{team_id}",
        "verdict": "allow",
        "reason": "a rule allows it",
        "rule": {
            "file": "catalog.csv",
            "line": 7,
            "column": None,
            "row": "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow",
        },
        "missing": [],
        "revision": revision,
        "held": ["anyone", "auth:jwt", "catalog:read", "user:user_a"],
        "count": 1,
    }
    assert allowed["time"].endswith("Z")
    assert 0 < allowed["latency_us"] < 5_000_000
    denied = logged(reader, "denied")
    assert (denied["verdict"], denied["missing"], denied["rule"]) == ("deny", ["holdings:read"], None)
    program = logged(reader, "program")
    assert (program["method"], program["key_id"], program["subject"]) == ("api_key", key_id, "user_owner")
    stranger = logged(reader, "stranger")
    assert (stranger["method"], stranger["subject"], stranger["missing"]) == ("anonymous", "", ["catalog:read"])
    expired = logged(reader, "expired")
    assert (expired["verdict"], expired["reason"], expired["method"]) == ("deny", "Token has expired.", None)
    assert (expired["subject"], expired["held"], expired["route"]) == ("", None, "/api/v1/teams")
    malformed = logged(reader, "malformed")
    assert (malformed["reason"], malformed["action"]) == ("Malformed API key.", "POST")


def test_the_log_needs_decisions_read(server: Server, issuer: LiveIssuer) -> None:
    for path in (PATH, f"{PATH}export", f"{PATH}health"):
        assert httpx.get(server.url + path).status_code == 401
        with server.client(issuer.token(permissions=["policies:read", "catalog:read"])) as client:
            refused = client.get(path)
        assert refused.status_code == 403
        assert 'scope="decisions:read"' in refused.headers["www-authenticate"]
        with server.client(issuer.token(permissions=["decisions:read"])) as client:
            assert client.get(path).status_code == 200
            head = client.head(path)
            assert (head.status_code, head.content) == (200, b"")


def test_each_filter_selects_exactly_the_matching_decisions(
    own_server: Server, issuer: LiveIssuer, reader: httpx.Client
) -> None:
    key_id, key = issue(own_server, issuer, "catalog:read")
    token = issuer.token(sub="user_a", permissions=["catalog:read"])
    for number in range(3):
        ask(own_server, "/api/v1/teams/", f"a{number}", token)
        ask(own_server, "/api/v1/games/", f"b{number}", key)
        ask(own_server, "/api/v1/sources/", f"c{number}", key)
        ask(own_server, "/api/v1/teams/", f"d{number}", token, method="HEAD")
    middle = logged(reader, "d2")["time"]
    ask(own_server, "/api/v1/teams/", "last", token)
    revision = logged(reader, "last")["revision"]

    def found(**filters: str) -> set[str]:
        return {row["request_id"] for row in rows(reader, **filters) if row["subject"] != "user_reader"}

    a, b, c, d = ({f"{letter}{number}" for number in range(3)} for letter in "abcd")
    assert found(subject="user_a") == a | d | {"last"}
    assert found(key_id=str(key_id)) == b | c
    assert found(route="/api/v1/games") == found(route="/api/v1/games/") == b
    assert found(action="HEAD") == d
    assert found(verdict="deny") == c
    assert found(verdict="allow", key_id=str(key_id)) == b
    assert found(since=middle, subject="user_a") == {"d2", "last"}
    assert found(until=middle, subject="user_a") == a | d - {"d2"}
    assert found(since="1h", until="1s", revision=revision) >= set()
    assert found(revision=revision, subject="user_a") == a | d | {"last"}
    assert found(revision=revision, key_id=str(key_id)) == b | c
    assert found(revision="0" * 16) == found(subject="user_unknown") == found(since="2999-01-01") == set()


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("colour=red", "colour"),
        ("verdict=maybe", "verdict"),
        ("verdict=deny&verdict=deny", "verdict"),
        ("key_id=x", "key_id"),
        ("since=yesterday", "since"),
        ("subject=%00", "subject"),
        ("grd_live_" + "ab" * 24 + "=1", "[secret]"),
    ],
)
def test_an_invalid_filter_is_refused_by_name(server: Server, issuer: LiveIssuer, query: str, field: str) -> None:
    with server.client(issuer.token(permissions=["decisions:read"])) as client:
        for path in (PATH, f"{PATH}export"):
            refused = client.get(f"{path}?{query}")
            assert refused.status_code == 400
            assert refused.json()["detail"] == "The filters are invalid."
            assert [error["field"] for error in refused.json()["errors"]] == [field]
        assert client.get(f"{PATH}export?cursor=x").status_code == 400


def test_pages_lead_through_the_log_in_both_directions(
    own_server: Server, issuer: LiveIssuer, reader: httpx.Client
) -> None:
    with own_server.client(issuer.token(sub="user_a", permissions=["catalog:read"])) as client:
        for number in range(120):
            client.get("/api/v1/teams/", headers={"X-Request-ID": f"n{number}"})
    logged(reader, "n119")
    forth = [reader.get(PATH, params={"subject": "user_a", "since": "1d"}).json()]
    while forth[-1]["next"]:
        assert forth[-1]["next"].startswith(f"{PATH}?since=1d&subject=user_a&cursor=")
        forth.append(reader.get(forth[-1]["next"]).json())
    assert [len(page["results"]) for page in forth] == [50, 50, 20]
    found = [row["request_id"] for page in forth for row in page["results"]]
    assert found == [f"n{number}" for number in reversed(range(120))]
    assert forth[0]["previous"] is None
    back = [forth[-1]]
    while back[-1]["previous"]:
        back.append(reader.get(back[-1]["previous"]).json())
    assert back[::-1] == forth
    for other in (forth[0]["next"].replace("subject=user_a", "subject=user_b"), forth[0]["next"] + "x"):
        refused = reader.get(other)
        assert refused.status_code == 400
        assert refused.json()["detail"].startswith("The cursor is invalid")
    cursor = forth[0]["next"].rpartition("=")[2]
    for _ in range(50):
        cut = random.randrange(len(cursor))
        forged = cursor[:cut] + random.choice("AZaz09-_") + cursor[cut + 1 :]
        assert reader.get(PATH, params={"subject": "user_a", "since": "1d", "cursor": forged}).status_code in (200, 400)
    first, last = -62_135_596_800_000_000, 253_402_300_799_999_999  # of the years 1 to 9999
    for side in ("older", "newer"):
        for at, row_id, status in (
            (first, 0, 200),
            (last, 2**63 - 2, 200),
            (first - 1, 1, 400),
            (last + 1, 1, 400),
            (-(2**63), 1, 400),
            (2**63 - 1, 1, 400),
            (2**63, 1, 400),
            (0, 2**63 - 1, 400),
        ):
            for query in ("since=1d&subject=user_a", "verdict=deny", "revision=0123456789abcdef", ""):
                content = f"{side} {at} {row_id} {sha256(query.encode()).hexdigest()[:16]}"
                forged = urlsafe_b64encode(content.encode()).rstrip(b"=").decode()
                answer = reader.get(f"{PATH}?{query}&cursor={forged}")
                assert answer.status_code == status, (content, query, answer.text)


def test_an_export_is_the_list_oldest_first(own_server: Server, issuer: LiveIssuer, reader: httpx.Client) -> None:
    with own_server.client(issuer.token(sub="user_a", permissions=["catalog:read"])) as client:
        for number in range(60):
            client.get("/api/v1/teams/" if number % 2 else "/api/v1/tags/", headers={"X-Request-ID": f"n{number}"})
    logged(reader, "n59")
    exported = reader.get(f"{PATH}export", params={"subject": "user_a", "verdict": "deny"})
    assert exported.headers["content-type"] == "application/jsonl"
    lines = [json.loads(line) for line in exported.text.splitlines()]
    assert [line["request_id"] for line in lines] == [f"n{number}" for number in range(0, 60, 2)]
    assert lines[::-1] == rows(reader, subject="user_a", verdict="deny")


def test_the_log_contains_no_token_key_or_body(own_server: Server, issuer: LiveIssuer, reader: httpx.Client) -> None:
    """Send secrets in every place, then search the files of the database, the export and the log of the server."""
    _, key = issue(own_server, issuer, "catalog:read")
    token = issuer.token(sub="user_a", permissions=["catalog:read", key], jti=key)
    body = "a-body-that-is-not-kept"
    secrets = (key, token, body)
    for secret in secrets[:2]:
        for bearer in (None, key, token, issuer.token(sub=key, permissions=[]), issuer.token(exp=1), key[:-1] + "0"):
            for path in (f"/api/v1/teams/{secret}/", f"/{secret}", f"/api/v1/teams/?cursor={secret}"):
                ask(own_server, path, secret[:128], bearer)
    with own_server.client(issuer.token(permissions=["catalog:write"])) as client:
        client.post("/api/v1/venues/", json={"name": body})
        client.post("/api/v1/teams/", json={"nickname": body})
    ask(own_server, "/healthz", "done")
    logged(reader, "done")
    export = reader.get(f"{PATH}export").text
    of_team = [row for row in map(json.loads, export.splitlines()) if row["route"] == "/api/v1/teams/{team_id}"]
    assert sum(row["count"] for row in of_team) >= 10, "the requests are there"
    own_server.stop()
    with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
        database.execute("DELETE FROM venues")  # the only table that may contain the body
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'venues'")
        database.commit()
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    files = b"".join(file.read_bytes() for file in own_server.directory.glob("authz.db*"))
    for secret in secrets:
        assert secret not in export
        assert secret.encode() not in files
        assert secret not in "\n".join(own_server.lines)
    assert key[9:] not in export + "\n".join(own_server.lines)


def test_the_health_of_the_log_counts_the_outcome_of_decisions(
    own_server: Server, issuer: LiveIssuer, reader: httpx.Client
) -> None:
    ask(own_server, "/healthz", "one")
    logged(reader, "one")
    health = reader.get(f"{PATH}health").json()
    assert health["written"] >= 1
    assert {name: health[name] for name in ("dropped", "failures", "sampled_out", "error", "capacity")} == {
        "dropped": 0,
        "failures": 0,
        "sampled_out": 0,
        "error": None,
        "capacity": 35_000,
    }
    with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
        database.execute("ALTER TABLE decision_rows RENAME TO away")
        database.commit()
        assert ask(own_server, "/healthz", "while-away").status_code == 200
        assert eventually(lambda: reader.get(f"{PATH}health").json()["failures"] > 0)
        broken = reader.get(f"{PATH}health").json()
        assert broken["error"].startswith("OperationalError: no such table")
        assert broken["queued"] > 0
        database.execute("ALTER TABLE away RENAME TO decision_rows")
        database.commit()
    assert eventually(lambda: reader.get(f"{PATH}health").json()["error"] is None, 20)
    assert logged(reader, "while-away")["verdict"] == "allow"
    assert issuer.url


def test_allows_can_be_sampled_and_all_denials_are_logged(issuer: LiveIssuer, tmp_path: Path) -> None:
    with Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, decision_log_sample="0"
    ) as server:
        with server.client(issuer.token(sub="user_a", permissions=["catalog:read"])) as client:
            for number in range(10):
                client.get("/api/v1/teams/")
                client.get("/api/v1/tags/", headers={"X-Request-ID": f"n{number}"})
        with server.client(issuer.token(permissions=["decisions:read"])) as reader:
            logged(reader, "n9")
            assert {row["verdict"] for row in rows(reader)} == {"deny"}
            assert len(rows(reader)) == 10
            assert reader.get(f"{PATH}health").json()["sampled_out"] >= 10


def test_a_stop_flushes_the_log_and_a_kill_keeps_written_decisions(
    own_server: Server, issuer: LiveIssuer, reader: httpx.Client
) -> None:
    def stored() -> set[str]:
        with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
            rows = database.execute("SELECT request_id, second, microsecond FROM decision_rows")
            return {expand_request_id(data, join_time(second, microsecond)) for data, second, microsecond in rows}

    ask(own_server, "/healthz", "before-the-stop")
    own_server.stop()
    assert "before-the-stop" in stored()
    own_server.lines.clear()  # otherwise its old address is used
    own_server.start()
    with own_server.client(issuer.token(permissions=["decisions:read"])) as again:
        for number in range(20):
            ask(own_server, "/healthz", f"n{number}")
        logged(again, "n19")
    ask(own_server, "/healthz", "perhaps")
    own_server.signal(signal.SIGKILL)
    assert own_server.process
    own_server.process.wait(20)
    assert stored() >= {f"n{number}" for number in range(20)}


def test_old_decisions_are_deleted_at_startup(own_server: Server, reader: httpx.Client) -> None:
    ask(own_server, "/healthz", "old")
    logged(reader, "old")
    own_server.stop()
    with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
        old = (compact("old"),)
        database.execute("UPDATE decision_rows SET second = second - 40 * 86400 WHERE request_id = ?", old)
        database.execute("UPDATE decision_rows SET second = second - 2 * 86400 WHERE request_id <> ?", old)
        database.commit()
        (before,) = database.execute("SELECT count(*) FROM decision_rows").fetchone()
        own_server.lines.clear()
        own_server.start()
        own_server.wait_for_log(lambda entry: entry.get("event") == "old decisions deleted")
        (left,) = database.execute("SELECT count(*) FROM decision_rows").fetchone()
        assert not database.execute("SELECT 1 FROM decision_rows WHERE request_id = ?", old).fetchall()
    assert left >= before - 1 > 0


def test_the_openapi_document_names_every_filter(server: Server) -> None:
    with server.client() as client:
        paths = client.get("/openapi.json").json()["paths"]
    listed = {parameter["name"] for parameter in paths["/api/v1/decisions"]["get"]["parameters"]}
    assert {"subject", "key_id", "route", "verdict", "since", "until", "cursor"} <= listed
