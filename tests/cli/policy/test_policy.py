"""The policy commands."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import command
from tests.support.server import ROOT


def authz(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return command(*words, cwd=cwd)


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    return tmp_path / "policies"


def test_the_shipped_policy_has_no_fault_and_passes_its_cases() -> None:
    checked, tested = authz("policy", "check"), authz("policy", "test")
    assert (checked.returncode, tested.returncode) == (0, 0), checked.stdout + tested.stdout
    assert "No fault in policies" in checked.stdout
    assert "cases passed" in tested.stdout


def test_a_fault_is_shown_as_by_a_compiler(policies: Path) -> None:
    file = policies / "catalog.csv"
    file.write_text(file.read_text().replace("teams/**, GET|HEAD, allow", "teams/**, GET|HEAD, alow"))
    checked = authz("policy", "check", "policies", cwd=policies.parent)
    assert checked.returncode == 1
    shown = "policies/catalog.csv:7:46: error[effect]: the effect must be `allow` or `deny`, not `alow`"
    assert shown in checked.stdout
    assert "   |                                              ^^^^\n   = hint: did you mean `allow`?" in checked.stdout
    for document in ("README.md", "policies/README.md"):
        assert shown in (ROOT / document).read_text()
    told = json.loads(authz("policy", "check", "--json", "policies", cwd=policies.parent).stdout)
    assert told["faults"][0]["code"] == "effect"


def test_a_missing_directory_is_a_usage_error() -> None:
    checked = authz("policy", "check", "nowhere")
    assert checked.returncode == 2
    assert "nowhere" in checked.stderr


def test_a_failing_case_shows_the_deciding_row(policies: Path) -> None:
    file = policies / "catalog.csv"
    file.write_text(file.read_text().replace("p, catalog:read, /api/v1/teams/**", "p, anyone, /api/v1/teams/**"))
    tested = authz("policy", "test", "policies", cwd=policies.parent)
    assert tested.returncode == 1
    assert "catalog.csv:7" in tested.stdout


def test_of_very_many_failing_cases_the_first_are_printed(policies: Path) -> None:
    endpoints = "".join(f"      - GET /api/v1/teams/{number}\n" for number in range(60))
    (policies / "tests/many.yaml").write_text(f"cases:\n  - as: auth:jwt\n    allow:\n{endpoints}# end\n")
    short = authz("policy", "test", "policies", cwd=policies.parent).stdout
    assert short.count("expected allow, got deny") == 20
    assert "… and 40 more; --all prints every one." in short
    assert "60 of " in short
    full = authz("policy", "test", "--all", "policies", cwd=policies.parent).stdout
    assert full.count("expected allow, got deny") == 60


def test_a_decision_is_explained_with_its_row() -> None:
    explained = authz("policy", "explain", "--as", "catalog:read auth:jwt", "GET", "/api/v1/teams/7")
    assert explained.returncode == 0
    assert explained.stdout.strip() in "\n".join(
        line.removeprefix("    ") for line in (ROOT / "policies" / "README.md").read_text().splitlines()
    )


def test_a_denial_is_explained_with_the_fewest_missing_grants() -> None:
    explained = authz("policy", "explain", "--as", "catalog:read auth:jwt", "GET", "/api/v1/sources")
    assert "Smallest grant that opens it: holdings:read" in explained.stdout
    assert explained.stdout.strip() in "\n".join(
        line.removeprefix("    ") for line in (ROOT / "README.md").read_text().splitlines()
    )


def test_the_matrix_names_what_opens_each_endpoint() -> None:
    matrix = authz("policy", "routes")
    assert matrix.returncode == 0
    (line,) = [line for line in matrix.stdout.splitlines() if line.startswith("/api/v1/teams ")]
    assert "catalog:read" in line
    assert "catalog:write" in line
    assert json.loads(authz("policy", "routes", "--json").stdout)


COMMANDS = """dev, serve, token, policy, policy check, policy test, policy explain, policy diff, policy routes,
policy review, policy comment,
policy reach, policy who, policy usage,
policy replay, policy history, policy show, policy publish, policy rollback, decisions tail, decisions export,
keys, keys list, keys revoke, db, db upgrade, db backup, db vacuum"""


@pytest.mark.parametrize("words", ["", *re.split(r",\s", COMMANDS)])
def test_every_command_has_help(words: str) -> None:
    helped = authz(*words.split(), "--help")
    assert helped.returncode == 0
    if words not in ("policy", "keys", "db"):
        assert "Example:" in helped.stdout


def test_an_app_of_another_issuer_may_be_a_client_of_the_operator() -> None:
    for kind, is_named in (("external", True), ("registered", False)):
        caller = f"app-kind:{kind} app:settings/web for user:ann catalog:write"
        explained = authz("policy", "explain", "--as", caller, "POST", "/api/v1/teams")
        assert ("If this client is your own, name it in AUTHZ_OWN_CLIENTS" in explained.stdout) is is_named
        assert "no row lets the app ask for the missing scope." in explained.stdout
