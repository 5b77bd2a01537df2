"""Publish, history, show and rollback by command, without a server."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.command import command
from tests.policy.shipped import case_count
from tests.support.server import ROOT

ROW = "p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow\n"


class Deployment:
    """A policy directory and a database."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.policies = Path(shutil.copytree(ROOT / "policies", directory / "policies"))
        self.candidate = Path(shutil.copytree(ROOT / "policies", directory / "candidate"))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
        database = f"sqlite:///{directory / 'authz.db'}"
        self._env = {**kept, "AUTHZ_DATABASE_URL": database, "AUTHZ_POLICY_DIR": str(self.policies)}
        self.authz(0, "db", "upgrade")

    def authz(self, code: int, *words: str) -> str:
        done = command(*words, env=self._env, cwd=self.directory)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def serving(self, host: str, revision: str) -> None:
        """Insert a process that reported a revision and has ended."""
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        row = (host, 7, "0.1.0", revision, 1, now, now, "no route matches.", "")
        with closing(sqlite3.connect(self.directory / "authz.db")) as database:
            database.execute(
                "INSERT INTO replicas (host, pid, version, revision, entry_id, started_at, seen_at, refused, files) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                row,
            )
            database.commit()

    def write(self, row: str) -> None:
        file = self.candidate / "catalog.csv"
        file.write_text(file.read_text().replace(ROW, row))


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_fewer_publishers_are_acknowledged_by_an_option(deployment: Deployment) -> None:
    by_token = "p, policies:write, /api/v1/policies/publish, POST, allow\n"
    file = deployment.candidate / "admin.csv"
    named = by_token.replace("policies:write", "user:auth0|ghost")
    file.write_text(file.read_text().replace(by_token, named))
    assert "warning[unproven-publishers]" in deployment.authz(0, "policy", "check", "candidate")
    assert "warning[unproven-publishers]" in deployment.authz(1, "policy", "check", "--strict", "candidate")
    publish = (
        "policy",
        "publish",
        "candidate",
        "-m",
        "One name",
        "--accept-failing",
        "Known",
        "--acknowledge-widening",
    )
    said = "no known caller could publish a policy: only user:auth0|ghost, never seen in the decision log"
    file.write_text(file.read_text().replace(named, by_token.replace("policies:write", "policies:write auth:jwt")))
    tried = deployment.authz(0, *publish, "--dry-run")  # fewer publishers alone need no acknowledgement
    assert "FEWER PUBLISHERS" in tried and "Would publish" in tried
    file.write_text(
        file.read_text().replace(
            "policies:write auth:jwt, /api/v1/policies/publish", "user:auth0|ghost, /api/v1/policies/publish"
        )
    )
    tried = deployment.authz(1, *publish, "--dry-run")
    assert f"FEWER PUBLISHERS  {said}." in tried
    assert f"this would be refused: {said}: confirm with --acknowledge-fewer-publishers." in tried
    refused = deployment.authz(1, *publish)
    assert f"authz: {said}: confirm with --acknowledge-fewer-publishers." in refused
    told = json.loads(deployment.authz(1, *publish, "--json").partition("\nauthz: ")[0])
    assert (told["published"], told["widens"], told["fewer_publishers"]) == (False, False, True)
    assert by_token in (deployment.policies / "admin.csv").read_text()
    done = json.loads(deployment.authz(0, *publish, "--acknowledge-fewer-publishers", "--json"))
    assert (done["published"], done["fewer_publishers"]) == (True, True)
    assert named in (deployment.policies / "admin.csv").read_text()


def test_a_candidate_is_published_shown_and_rolled_back(deployment: Deployment) -> None:
    assert "No policy is stored yet" in deployment.authz(0, "policy", "history")
    deployment.write(ROW.replace("catalog:read", "policies:read"))
    told = deployment.authz(1, "policy", "publish", "candidate", "-m", "Why not")
    assert "GAIN  GET|HEAD /api/v1/leagues  for holders of policies:read" in told
    assert "--acknowledge-widening" in told
    assert "FAIL  candidate/tests/catalog.yaml:6: " in told
    reasons = [line for line in told.splitlines() if line.startswith("authz: ")]
    assert [reason.split()[-1] for reason in reasons] == ["--acknowledge-widening.", "'REASON'."]
    why_not: tuple[str, ...] = ("policy", "publish", "candidate", "-m", "Why not")
    tried = deployment.authz(1, *why_not, "--dry-run")
    assert "GAIN  GET|HEAD /api/v1/leagues" in tried and "FAIL  candidate/tests/catalog.yaml:6: " in tried
    assert "Would publish" not in tried
    assert "authz: this would be refused: access widens: confirm with --acknowledge-widening." in tried
    view = json.loads(deployment.authz(1, *why_not, "--dry-run", "--json").partition("\nauthz: ")[0])
    assert (view["published"], view["widens"], len(view["reasons"])) == (False, True, 2)
    acknowledged = ("--acknowledge-widening", "--accept-failing", "Tests follow")
    assert "--accept-failing" in deployment.authz(1, *why_not, "--dry-run", acknowledged[0])
    assert "Would publish" in deployment.authz(0, *why_not, "--dry-run", *acknowledged)
    view = json.loads(deployment.authz(0, *why_not, "--dry-run", "--json", *acknowledged))
    assert (view["published"], view["reasons"]) == (False, [])
    assert ROW in (deployment.policies / "catalog.csv").read_text()
    why_not = (*why_not, "--acknowledge-widening")
    for reason in ([], ["--accept-failing", " "]):
        refused = deployment.authz(1, *why_not, *reason)
        assert "cases fail: correct the policy or its tests, or accept this with --accept-failing" in refused
    assert ROW in (deployment.policies / "catalog.csv").read_text()
    deployment.authz(0, *why_not, "--accept-failing", "Tests follow")
    assert ROW not in (deployment.policies / "catalog.csv").read_text()
    newest, first = json.loads(deployment.authz(0, "policy", "history", "--json"))
    assert (newest["kind"], newest["message"], newest["widens"], newest["parent_id"]) == (
        "publish",
        "Why not",
        True,
        first["id"],
    )
    assert (newest["cases"]["accepted"]["reason"], first["cases"]) == ("Tests follow", None)
    assert f"of {case_count()} cases failed; accepted by cli:" in deployment.authz(0, "policy", "history")
    shown = deployment.authz(0, "policy", "show", first["revision"][:6], "--out", "then")
    assert "The policy as it was found." in shown
    assert (deployment.directory / "then/catalog.csv").read_bytes() == (ROOT / "policies/catalog.csv").read_bytes()
    deployment.serving("east", first["revision"])
    back = ("policy", "rollback", first["revision"][:6], "--acknowledge-widening", "--wait", "0")
    told = deployment.authz(1, *back)
    assert "0 live replicas serve it" in told
    assert f"BEHIND  east process 7 serves {first['revision']}: no route matches." in told
    assert ROW in (deployment.policies / "catalog.csv").read_text()
    assert "Nothing changes" in deployment.authz(0, "policy", "publish", "then", "-m", "Again")
    assert f"Back to {first['revision']}." in deployment.authz(0, "policy", "history", "--limit", "1")
    twin = first["revision"][:6] + "0" * 10
    with closing(sqlite3.connect(deployment.directory / "authz.db")) as database:
        database.execute("UPDATE policy_revisions SET revision = ? WHERE revision = ?", (twin, newest["revision"]))
        database.commit()
    for words in (("show",), ("rollback", "--acknowledge-widening")):
        told = deployment.authz(1, "policy", *words, first["revision"][:6])
        assert f"is the start of more than one revision: {', '.join(sorted([twin, first['revision']]))}." in told
        assert "there is no revision" in deployment.authz(1, "policy", *words, first["revision"][:3])


def test_an_invalid_candidate_is_refused(deployment: Deployment) -> None:
    deployment.write(ROW.replace("allow", "alow"))
    assert "did you mean `allow`?" in deployment.authz(1, "policy", "publish", "candidate", "-m", "x")
    assert "there is no revision nonsense" in deployment.authz(1, "policy", "rollback", "nonsense")
    assert "there is no revision nonsense" in deployment.authz(1, "policy", "show", "nonsense")
    deployment.authz(2, "policy", "publish", "nowhere", "-m", "x")


def test_partly_written_files_are_not_published(deployment: Deployment) -> None:
    (deployment.policies / ".publishing").write_text("0123456789abcdef")
    assert "these files are being changed to the revision 0123456789abcdef" in deployment.authz(1, "policy", "check")
    # Nothing was stored, so the next change of the policy undoes it.
    deployment.write(ROW.replace("GET|HEAD", "GET") + ROW.replace("GET|HEAD, allow", "HEAD, deny"))
    deployment.authz(0, "policy", "publish", "candidate", "-m", "x", "--accept-failing", "Tests follow")
    assert "No fault" in deployment.authz(0, "policy", "check")
