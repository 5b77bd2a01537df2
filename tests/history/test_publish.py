"""Publish and roll back: one atomic call that checks, compares and stores."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
from contextlib import closing, suppress
from typing import Any

import httpx

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

# KILLS=100 for the full trial.
KILLS = int(os.environ.get("KILLS", "3"))
PUBLISH = "/api/v1/policies/publish"
ROLLBACK = "/api/v1/policies/rollback"
HISTORY = "/api/v1/policies/history"
READ = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow\n"
OTHER = "p, holdings:read, /api/v1/teams/**, GET|HEAD, allow\n"


def files(server: Server) -> dict[str, str]:
    """The policy files on disk."""
    paths = [*server.policy_dir.rglob("*.csv"), *server.policy_dir.rglob("*.yaml"), server.policy_dir / "model.conf"]
    paths.append(server.policy_dir / "permissions.toml")
    return {str(path.relative_to(server.policy_dir)): path.read_text() for path in paths}


def narrower(server: Server) -> dict[str, str]:
    """The policy without HEAD on leagues."""
    found = files(server)
    old = "p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow\n"
    assert old in found["catalog.csv"]
    narrow = "p, catalog:read, /api/v1/leagues/**, GET, allow\np, policies:write, /api/v1/leagues/**, HEAD, deny\n"
    return {**found, "catalog.csv": found["catalog.csv"].replace(old, narrow)}


def admin(server: Server, issuer: LiveIssuer) -> httpx.Client:
    return server.client(
        issuer.token(sub="user_admin", permissions=["policies:read", "policies:write", "catalog:read"])
    )


def active(client: httpx.Client) -> str:
    revision: str = client.get("/api/v1/policies").json()["revision"]
    return revision


def history(client: httpx.Client) -> list[dict[str, Any]]:
    """All entries of all pages, newest first."""
    entries: list[dict[str, Any]] = []
    following: str | None = HISTORY
    while following:
        page = client.get(following).json()
        entries += page["results"]
        following = page["next"]
    return entries


def body(client: httpx.Client, content: dict[str, str], **more: Any) -> dict[str, Any]:
    accepted = {"accept_failing_cases": "The cases follow."}  # they are of the shipped policy
    return {"files": content, "parent": active(client), "message": "Because.", **accepted, **more}


def test_a_published_policy_is_served_written_and_stored(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:
        first = active(client)
        assert client.head("/api/v1/leagues").status_code == 200
        content = narrower(own_server)
        answer = client.post(PUBLISH, json=body(client, content))
        assert answer.status_code == 200, answer.text
        done = answer.json()
        assert (done["parent"], done["widens"]) == (first, False)
        assert any(change["kind"] == "loss" and change["actions"] == ["HEAD"] for change in done["access"])
        assert any(
            row["kind"] == "removed" and row["row"].startswith("p, catalog:read, /api/v1/leagues/**")
            for row in done["rows"]
        )
        assert client.head("/api/v1/leagues").status_code == 403
        assert active(client) == done["revision"]
        assert "policies:write, /api/v1/leagues/**" in (own_server.policy_dir / "catalog.csv").read_text()
        newest, oldest = client.get(HISTORY).json()["results"]
        assert (newest["revision"], newest["kind"], newest["author"], newest["message"]) == (
            done["revision"],
            "publish",
            "user_admin",
            "Because.",
        )
        assert (oldest["revision"], oldest["kind"], oldest["parent_id"]) == (first, "files", None)
        assert newest["parent_id"] == oldest["id"]
        shown = client.get(f"{HISTORY}/{done['revision']}").json()
        assert shown["files"] == content == files(own_server)
        assert client.get(f"{HISTORY}/0000000000000000").status_code == 404
    assert audit(own_server) == [("policy.publish", done["revision"], "user_admin")]


def test_crlf_is_normalized_and_leftover_files_are_kept(own_server: Server, issuer: LiveIssuer) -> None:
    leaving = own_server.policy_dir / "catalog.csv.orig"
    leaving.write_text("p, anyone, /**, GET, allow\n")
    with admin(own_server, issuer) as client:
        content = narrower(own_server)
        crlf = {name: text.replace("\n", "\r\n") for name, text in content.items()}
        answer = client.post(PUBLISH, json=body(client, crlf))
        assert answer.status_code == 200, answer.text
        revision = answer.json()["revision"]
        assert active(client) == revision
        assert client.get(f"{HISTORY}/{revision}").json()["files"] == content
        assert client.post("/api/v1/policies/reload").json()["outcome"] == "unchanged"
        assert client.post(PUBLISH, json=body(client, content)).json()["revision"] == revision
        assert client.head("/api/v1/leagues").status_code == 403
    assert leaving.exists()
    noted = [entry["files"] for entry in own_server.written_log() if "are not read" in entry["event"]]
    assert noted == [["catalog.csv.orig"]]


def test_a_widening_must_be_acknowledged_and_a_dry_run_changes_nothing(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:
        first = active(client)
        wide = files(own_server)
        wide["catalog.csv"] = wide["catalog.csv"].replace(READ, READ + OTHER)
        tried = client.post(PUBLISH, json=body(client, wide, dry_run=True)).json()
        assert tried["widens"] is True
        refused = client.post(PUBLISH, json=body(client, wide))
        assert refused.status_code == 409
        assert "acknowledge_widening" in refused.json()["detail"]
        assert any("holdings:read" in change["text"] for change in refused.json()["access"])
        assert (active(client), len(client.get(HISTORY).json()["results"])) == (first, 1)
        assert client.post(PUBLISH, json=body(client, wide, acknowledge_widening=True)).status_code == 200
        assert active(client) == tried["revision"]


def test_a_path_that_falls_to_a_looser_template_must_be_acknowledged(own_server: Server, issuer: LiveIssuer) -> None:
    document = "openapi: 3.1.0\npaths:\n  /v1/{id}: {get: {}}\n"
    row = "p, catalog:read, shop:/v1/{id}, GET, allow\n"
    export = "p, holdings:read, shop:/v1/export, GET, allow\n"
    before = files(own_server)
    with admin(own_server, issuer) as client:
        more = {
            "upstreams/shop.openapi.yaml": f"{document}  /v1/export: {{get: {{}}}}\n",
            "shop.csv": f"{row}{export}# end\n",
        }
        answer = client.post(PUBLISH, json=body(client, {**before, **more}, acknowledge_widening=True))
        assert answer.status_code == 200, answer.text
        less = {"upstreams/shop.openapi.yaml": document, "shop.csv": f"{row}# end\n"}
        refused = client.post(PUBLISH, json=body(client, {**before, **less}))
        assert refused.status_code == 409, refused.text
        (gain,) = [change for change in refused.json()["access"] if change["kind"] == "gain"]
        assert (gain["resource"], gain["actions"]) == ("shop:/v1/export", ["GET", "HEAD"])
        assert "now answered by shop:/v1/{id}" in gain["text"]


def test_stale_faulty_and_invalid_candidates_are_refused(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:
        first = active(client)
        stale = {**body(client, narrower(own_server)), "parent": "0" * 16}
        answer = client.post(PUBLISH, json=stale)
        assert (answer.status_code, answer.json()["active"]) == (409, first)
        broken = files(own_server)
        broken["catalog.csv"] = broken["catalog.csv"].replace("allow", "alow", 1)
        answer = client.post(PUBLISH, json=body(client, broken))
        assert answer.status_code == 422
        assert answer.json()["faults"][0]["hint"] == "did you mean `allow`?"
        for content in ({}, {"../evil.csv": "# end\n"}, {"/etc/x.csv": "# end\n"}, {"a/b/c.csv": "# end\n"}):
            answer = client.post(PUBLISH, json=body(client, {**files(own_server), **content} if content else {}))
            assert answer.status_code in (400, 422), content
        assert active(client) == first
    with own_server.client(issuer.token(permissions=["policies:read"])) as reader:
        assert reader.post(PUBLISH, json={}).status_code == 403


def test_a_rollback_under_load_applies_to_the_next_request(own_server: Server, issuer: LiveIssuer) -> None:
    stop = threading.Event()
    seen: set[int] = set()

    def load() -> None:
        with own_server.client(issuer.token(permissions=["catalog:read"])) as client:
            while not stop.is_set():
                seen.add(client.head("/api/v1/leagues").status_code)

    threads = [threading.Thread(target=load) for _ in range(2)]
    with admin(own_server, issuer) as client:
        first = active(client)
        content = narrower(own_server)
        for thread in threads:
            thread.start()
        try:
            for _ in range(2):
                # A holder of catalog:read alone still may; the admin, who may change policies, may not.
                done = client.post(PUBLISH, json=body(client, content)).json()
                assert client.head("/api/v1/leagues").status_code == 403
                back = {"revision": first, "parent": done["revision"], "acknowledge_widening": True}
                assert client.post(ROLLBACK, json={**back, "acknowledge_widening": False}).status_code == 409
                assert client.post(ROLLBACK, json=back).status_code == 200
                assert client.head("/api/v1/leagues").status_code == 200
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        kinds = [entry["kind"] for entry in client.get(HISTORY).json()["results"]]
        assert kinds == ["rollback", "publish"] * 2 + ["files"]
        assert client.post(ROLLBACK, json={"revision": "f" * 16, "parent": first}).status_code == 404
    assert seen <= {200, 403}


def test_edited_files_become_a_revision(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:
        (own_server.policy_dir / "catalog.csv").write_text(narrower(own_server)["catalog.csv"])

        def kinds() -> list[str]:
            return [entry["kind"] for entry in client.get(HISTORY).json()["results"]]

        assert eventually(lambda: kinds() == ["files", "files"])


def test_a_revision_that_could_not_be_stored_is_stored_later(own_server: Server, issuer: LiveIssuer) -> None:
    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(own_server.directory / "authz.db")) as database:
            database.execute(f"ALTER TABLE {old} RENAME TO {new}")
            database.commit()

    with admin(own_server, issuer) as client:
        first = active(client)
        assert eventually(lambda: [entry["revision"] for entry in history(client)] == [first])
        rename("policy_revisions", "elsewhere")
        (own_server.policy_dir / "catalog.csv").write_text(narrower(own_server)["catalog.csv"])
        own_server.wait_for_log(lambda entry: entry.get("event") == "the revision is not stored yet")
        assert eventually(lambda: active(client) != first)
        now = active(client)
        rename("elsewhere", "policy_revisions")
        assert eventually(lambda: [entry["revision"] for entry in history(client)] == [now, first])


def test_a_stored_policy_that_cannot_be_written_is_served_and_reported(own_server: Server, issuer: LiveIssuer) -> None:
    def lags() -> bool:
        policy: dict[str, Any] = httpx.get(f"{own_server.url}/readyz").json()["checks"]["policy"]
        return bool(policy["files_lag"])

    in_the_way = own_server.policy_dir / ".catalog.csv.new"
    with admin(own_server, issuer) as client:
        first, before = active(client), files(own_server)
        in_the_way.mkdir()
        done = client.post(PUBLISH, json=body(client, narrower(own_server)))
        assert done.status_code == 200
        assert client.head("/api/v1/leagues").status_code == 403
        assert lags()
        # A partly written policy is not a change.
        assert client.post("/api/v1/policies/reload").status_code == 422
        assert active(client) == done.json()["revision"]
        in_the_way.rmdir()
        back = {"revision": first, "parent": done.json()["revision"], "acknowledge_widening": True}
        assert client.post(ROLLBACK, json=back).status_code == 200
        assert files(own_server) == before
        assert not lags()
        assert client.head("/api/v1/leagues").status_code == 200


def test_acknowledged_revisions_survive_a_kill_at_any_moment(own_server: Server, issuer: LiveIssuer) -> None:
    chosen = random.Random(5)
    contents = [files(own_server), narrower(own_server)]
    acknowledged = ""
    for number in range(KILLS):
        with admin(own_server, issuer) as client:
            acknowledged = acknowledged or active(client)
            content = contents[(number + 1) % 2]
            killer = threading.Timer(chosen.uniform(0.0, 0.25), own_server.signal, (signal.SIGKILL,))
            killer.start()
            with suppress(httpx.TransportError):
                request = body(client, content, acknowledge_widening=True)
                answer = client.post(PUBLISH, json=request)
                if answer.status_code == 200:
                    acknowledged = answer.json()["revision"]
            killer.join()
        own_server.stop()
        own_server.lines.clear()
        own_server.start()
        with admin(own_server, issuer) as client:
            now = active(client)
            entries = history(client)
            revisions = [entry["revision"] for entry in entries]
            assert acknowledged in revisions
            assert revisions[0] == now
            assert not (own_server.policy_dir / ".publishing").exists()
            assert files(own_server) == client.get(f"{HISTORY}/{now}").json()["files"]
            # Every audit row has its revision, and every revision but the first its audit row.
            stored = [(f"policy.{entry['kind']}", entry["revision"]) for entry in entries if entry["parent_id"]]
        assert sorted((action, target) for action, target, _ in audit(own_server)) == sorted(stored)
        acknowledged = now


def audit(server: Server) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(server.directory / "authz.db")) as database:
        return database.execute("SELECT action, target, author FROM admin_actions ORDER BY id").fetchall()
