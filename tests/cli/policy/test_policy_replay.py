"""`authz policy replay` over the log of a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.logged_requests import READ_TEAMS, ask, log_requests_of_two_users, stored
from tests.support.server import ROOT, Server, eventually


def replay(server: Server, directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return command("policy", "replay", str(directory), *words, env=server.env, cwd=server.directory)


def candidate(server: Server, row: str) -> Path:
    """The shipped policy with another row for reading teams."""
    directory = server.directory / "candidate"
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree(ROOT / "policies", directory)
    file = directory / "catalog.csv"
    file.write_text(file.read_text().replace(READ_TEAMS, row))
    return directory


@pytest.fixture
def logged_server(own_server: Server, issuer: LiveIssuer) -> Server:
    """A server with requests of two users and one with an expired token in its log."""
    log_requests_of_two_users(own_server, issuer)
    ask(own_server, "/api/v1/teams/", "stranger", None)
    assert eventually(lambda: stored(own_server, "stranger"))
    return own_server


def test_gains_and_losses_are_printed_with_counts_and_examples(logged_server: Server) -> None:
    same = replay(logged_server, candidate(logged_server, READ_TEAMS))
    assert (same.returncode, same.stderr) == (0, "")
    assert "7 decisions since 7d" in same.stdout
    assert "6 stay as they are" in same.stdout
    assert "at the time" not in same.stdout
    assert "1 had bad credentials" in same.stdout

    changed = replay(logged_server, candidate(logged_server, READ_TEAMS.replace("catalog:read", "holdings:read")))
    assert changed.returncode == 1
    assert changed.stdout.splitlines()[:8] == [
        "2 would be allowed that the active policy denies:",
        "  user_other  GET /api/v1/teams/{team_id}  2 times, last in other-1",
        "    catalog.csv:7: p, holdings:read, /api/v1/teams/**, GET|HEAD, allow",
        "",
        "3 would be denied that the active policy allows:",
        "  user_reader  GET /api/v1/teams  3 times, last in reader-2",
        "    lacks holdings:read",
        "",
    ]
    document = json.loads(replay(logged_server, logged_server.directory / "candidate", "--json").stdout)
    assert document["counts"] == {"same": 1, "gained": 2, "lost": 3, "condition": 0, "unverified": 1, "unknown": 0}
    assert document["decisions"] == 7
    assert [(change["change"], change["subject"], change["count"]) for change in document["changes"]] == [
        ("gained", "user_other", 2),
        ("lost", "user_reader", 3),
    ]
    conditional = READ_TEAMS + ", \"request.ip == '10.0.0.1'\""
    hanging = json.loads(replay(logged_server, candidate(logged_server, conditional), "--json").stdout)
    assert hanging["counts"]["condition"] == 3
    assert hanging["changes"] == []


def test_effects_of_earlier_changes_are_one_line_with_a_count(logged_server: Server) -> None:
    moved = READ_TEAMS.replace("catalog:read", "holdings:read")
    before = candidate(logged_server, READ_TEAMS)
    (logged_server.policy_dir / "catalog.csv").write_text((candidate(logged_server, moved) / "catalog.csv").read_text())
    logged_server.wait_for_log(lambda entry: entry.get("event") == "policy swapped")

    def document() -> Any:
        return json.loads(replay(logged_server, candidate(logged_server, moved + "\n"), "--json").stdout)

    # Once it is stored, a candidate is compared with the edited policy.
    assert eventually(lambda: document()["changed_since"] == 5, 20)
    assert (document()["counts"]["same"], document()["changes"]) == (6, [])
    same = replay(logged_server, candidate(logged_server, moved))
    assert same.returncode == 0
    assert "5 were decided otherwise at the time, before earlier changes of the policy." in same.stdout
    back = replay(logged_server, candidate(logged_server, READ_TEAMS))
    assert "3 would be allowed that the active policy denies:" in back.stdout
    against = json.loads(
        replay(logged_server, candidate(logged_server, READ_TEAMS), "--against", str(before), "--json").stdout
    )
    assert (against["changes"], against["changed_since"]) == ([], 0)


def test_usage_errors_and_faults_of_a_candidate_are_reported(logged_server: Server) -> None:
    assert replay(logged_server, Path("nowhere")).returncode == 2
    wrong = replay(logged_server, logged_server.policy_dir, "--last", "yesterday")
    assert wrong.returncode == 2
    assert "--last cannot be read" in wrong.stderr
    faulty = replay(logged_server, candidate(logged_server, READ_TEAMS.replace("allow", "alow")))
    assert faulty.returncode == 1
    assert "did you mean `allow`?" in faulty.stdout
    nothing = replay(logged_server, logged_server.policy_dir, "--last", "2999-01-01")
    assert nothing.returncode == 0
    assert "nothing to replay" in nothing.stdout
