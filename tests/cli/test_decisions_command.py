"""`authz decisions` during the run of a server."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import threading
from contextlib import closing
from pathlib import Path

import httpx

from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, Server, eventually


def authz(server: Server, *words: str) -> subprocess.CompletedProcess[str]:
    return command("decisions", *words, env=server.env, cwd=server.directory)


def ask(server: Server, path: str, request_id: str, token: str | None = None) -> None:
    headers = {"X-Request-ID": request_id, **({"Authorization": f"Bearer {token}"} if token else {})}
    httpx.get(server.url + path, headers=headers, timeout=20)


def ids(output: str) -> list[str]:
    return [json.loads(line)["request_id"] for line in output.splitlines()]


def test_decisions_are_shown_filtered_and_exported(own_server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(sub="user_a", permissions=["catalog:read"])
    for number in range(3):
        ask(own_server, "/api/v1/teams/", f"allowed-{number}", token)
        ask(own_server, "/api/v1/tags/", f"denied-{number}", token)
    ask(own_server, "/api/v1/teams/", "expired", issuer.token(exp=1))
    assert eventually(lambda: "expired" in authz(own_server, "tail").stdout, 30)

    shown = authz(own_server, "tail", "-n", "3").stdout.splitlines()
    assert len(shown) == 3, "the newest, the newest last"
    assert "  allow  user_a " in shown[0]
    assert shown[0].endswith("  GET /api/v1/teams  catalog.csv:7  allowed-2")
    assert shown[1].endswith("  GET /api/v1/tags  lacks holdings:read  denied-2")
    assert "  deny   unknown " in shown[2]
    assert shown[2].endswith("  GET /api/v1/teams  Token has expired.  expired")

    told = authz(own_server, "tail", "--json", "--verdict", "deny", "--subject", "user_a")
    assert ids(told.stdout) == ["denied-0", "denied-1", "denied-2"]
    exported = authz(own_server, "export", "--since", "1h", "--route", "/api/v1/teams")
    assert ids(exported.stdout) == ["allowed-0", "allowed-1", "allowed-2", "expired"]
    assert exported.stderr == ""
    with own_server.client(issuer.token(permissions=["decisions:read"])) as client:
        over_http = client.get("/api/v1/decisions/export", params={"since": "1h", "route": "/api/v1/teams"})
    assert over_http.text == exported.stdout, "one shape everywhere"
    later = 4 * 10**15  # microseconds since 1970: in 2096
    with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
        values = [("a", "known", 0, later, 7), ("b", "anonymous", 0, 1_000_000, 90), ("c", "authzen", later, later, 5)]
        insert = (
            "INSERT INTO decision_drops (window_id, decision_class, first_at, last_at, count) VALUES (?, ?, ?, ?, ?)"
        )
        database.executemany(insert, values)
        database.commit()
    exported = authz(own_server, "export", "--since", "1h", "--until", "2038-01-01", "--subject", "user_unknown")
    assert [json.loads(line)["dropped"]["count"] for line in exported.stdout.splitlines()] == [7]
    assert "7 decisions of this time were lost" in exported.stderr
    with own_server.client(issuer.token(permissions=["decisions:read"])) as client:
        params = {"until": "1970-01-01T00:00:02Z"}
        lines = client.get("/api/v1/decisions/export", params=params).text.splitlines()
    assert [json.loads(line) for line in lines][1] == {
        "dropped": {
            "decision_class": "anonymous",
            "count": 90,
            "first": "1970-01-01T00:00:00Z",
            "last": "1970-01-01T00:00:01Z",
        }
    }
    nothing = authz(own_server, "tail", "--subject", "user_unknown")
    assert (nothing.returncode, nothing.stdout) == (0, "No decision matches.\n")


def test_following_continues_until_interrupted(own_server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(sub="user_a", permissions=["catalog:read"])
    ask(own_server, "/api/v1/tags/", "before", token)
    assert eventually(lambda: authz(own_server, "export").stdout != "", 30)
    # A test in the background inherits an ignored SIGINT.
    command = [
        "env",
        "--default-signal=INT",
        str(AUTHZ),
        "decisions",
        "tail",
        "--follow",
        "--json",
        "--verdict",
        "deny",
    ]
    following = subprocess.Popen(
        command, env=own_server.env, cwd=own_server.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    lines: list[str] = []
    out = following.stdout
    assert out
    reading = threading.Thread(target=lambda: lines.extend(iter(out.readline, "")), daemon=True)
    reading.start()
    try:
        assert eventually(lambda: ids("".join(lines)) == ["before"], 30)
        for number in range(3):
            ask(own_server, "/api/v1/teams/", f"allowed-{number}", token)
            ask(own_server, "/api/v1/tags/", f"denied-{number}", token)
            wanted = ["before", *(f"denied-{seen}" for seen in range(number + 1))]
            assert eventually(lambda wanted=wanted: ids("".join(lines)) == wanted, 20), lines  # type: ignore[misc]  # bound
    finally:
        following.send_signal(signal.SIGINT)
        _, stderr = following.communicate(timeout=20)
        reading.join(5)
    assert (following.returncode, stderr) == (0, "")


def test_an_invalid_filter_of_decisions_is_a_usage_error(tmp_path: Path) -> None:
    for words, said in (
        (("tail", "--since", "yesterday"), "--since cannot be read"),
        (("export", "--key-id", "x"), "--key-id must be the id of a key"),
        (("tail", "--colour", "red"), "No such option"),
    ):
        used = command("decisions", *words, cwd=tmp_path)
        assert used.returncode == 2
        assert said in used.stderr


def test_a_database_without_migrations_is_reported(tmp_path: Path) -> None:
    used = command("decisions", "tail", cwd=tmp_path)
    assert used.returncode == 1
    assert "authz db upgrade" in used.stderr


def test_help_has_an_example() -> None:
    for words in (("decisions",), ("decisions", "tail"), ("decisions", "export")):
        shown = command(*words, "--help").stdout
        assert "Example" in shown
        assert "authz decisions" in shown
