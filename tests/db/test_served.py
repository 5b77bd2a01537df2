"""A server on each database: stored data is read back by the server and by commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.command import command
from tests.history.test_publish import files
from tests.support.databases import Postgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, eventually

EVERYTHING = "catalog:read catalog:write policies:read policies:write decisions:read"


@pytest.fixture
def served(url: str, issuer: LiveIssuer, tmp_path: Path) -> Server:
    """A server that is not yet started."""
    return Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, database_url=url)


def test_the_life_of_a_key_and_a_policy(served: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=EVERYTHING)
    with served, served.client(token) as person:
        league = {"name": "National Football League", "abbreviation": "NFL", "country": "US"}
        assert person.post("/api/v1/leagues/", json=league).status_code == 201
        body = {"name": "nightly", "scopes": ["catalog:read"]}
        issued = person.post("/api/v1/api-keys/", json=body).json()
        with served.client(issued["plaintext"]) as program:
            assert program.get("/api/v1/leagues/").json()["results"][0]["abbreviation"] == "NFL"
            assert program.get("/api/v1/sources/").status_code == 403

            content = files(served)
            read = "p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow"
            content["catalog.csv"] = content["catalog.csv"].replace(read, read.replace("read", "write"))
            first = person.get("/api/v1/policies").json()["revision"]
            publish = {"files": content, "parent": first, "message": "Leagues are for editors."}
            accepted = {"acknowledge_widening": True, "accept_failing_cases": "The cases follow."}
            done = person.post("/api/v1/policies/publish/", json=publish | accepted)
            assert done.status_code == 200, done.text
            assert program.get("/api/v1/leagues/").status_code == 403
            back = {
                "revision": first,
                "parent": done.json()["revision"],
                "acknowledge_widening": True,
                "message": "No.",
            }
            assert person.post("/api/v1/policies/rollback/", json=back).status_code == 200
            assert program.get("/api/v1/leagues/").status_code == 200

            kinds = [entry["kind"] for entry in person.get("/api/v1/policies/history/").json()["results"]]
            assert kinds == ["rollback", "publish", "files"]
            key_id = issued["api_key"]["id"]
            log = "/api/v1/decisions/?verdict=deny&key_id=" + str(key_id)
            assert eventually(lambda: len(person.get(log).json()["results"]) == 2)
            usage = person.get(f"/api/v1/policies/usage/?key_id={key_id}&days=1").json()
            assert "catalog:read" in str(usage)
            assert eventually(lambda: person.get(f"/api/v1/api-keys/{key_id}/").json()["last_used_at"] is not None)
            assert person.post(f"/api/v1/api-keys/{key_id}/revoke/").status_code == 200
            assert program.get("/api/v1/leagues/").json() == {"detail": "API key has been revoked."}
        told = command("decisions", "tail", "--key-id", str(key_id), "--verdict", "deny", "--json", env=served.env)
        assert told.returncode == 0, told.stderr
        assert len(told.stdout.splitlines()) >= 2
        assert first in command("policy", "history", env=served.env).stdout
        assert command("keys", "list", env=served.env).stdout.count("grd_live_") == 1
    log = "\n".join(served.lines)
    assert issued["plaintext"] not in log
    assert '"level":"error"' not in log.replace(" ", "")


def test_a_nul_is_refused_or_not_found_on_each_database(served: Server, issuer: LiveIssuer) -> None:
    with served, served.client(issuer.token(permissions=EVERYTHING)) as person:
        parent = person.get("/api/v1/policies").json()["revision"]
        change = {"files": files(served), "parent": parent, "message": "a\0b"}
        for name, body in (("publish", change), ("rollback", {"revision": parent, "parent": parent, "message": "\0"})):
            assert person.post(f"/api/v1/policies/{name}/", json=body).status_code == 400
        shadow = {"files": files(served), "message": "\0"}
        assert person.put("/api/v1/policies/shadow/", json=shadow).status_code == 400
        assert person.post("/api/v1/api-keys/", json={"name": "a\0b"}).status_code == 400
        assert (
            person.post("/api/v1/leagues/", json={"name": "\0", "abbreviation": "X", "country": "US"}).status_code
            == 400
        )
        for name in ("subject", "route", "action", "revision", "request_id"):
            answer = person.get("/api/v1/decisions/", params={name: "a\0b"})
            assert answer.status_code == 400 or answer.json()["results"] == [], name
        for path in ("policies/history/a%00b/", "api-keys/%00/", "leagues/%00/", "policies/usage/?key_id=%00"):
            assert person.get(f"/api/v1/{path}").status_code in (400, 404), path
        explained = {"request_id": "a\0b"}
        assert person.post("/api/v1/policies/explain/", json=explained).status_code in (400, 404)
    assert not [line for line in served.log if line.get("level") == "error"]


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_server_creates_and_drops_partitions(served: Server, postgres: Postgres, url: str) -> None:
    def days() -> set[str]:
        names = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'decision_rows'::regclass"
        return set(re.findall(r"decision_rows_(\d{8})", postgres.run(url, names)))

    ahead = days()
    lacking, old = max(ahead), "20200101"
    bounds = "FROM (0) TO (86400)"  # seconds since 2020
    postgres.run(url, f"DROP TABLE decision_rows_{lacking}")
    postgres.run(url, f"CREATE TABLE decision_rows_{old} PARTITION OF decision_rows FOR VALUES {bounds}")
    assert days() == ahead - {lacking} | {old}
    with served:
        assert eventually(lambda: days() == ahead, 10)
        served.wait_for_log(lambda entry: entry.get("event") == "old decisions deleted" and entry["days"] == 1)
