"""Queries of the policy commands, and the messages for usage errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.support.server import ROOT

Run = Callable[..., Result]

# The commands run in this process, so ignore deprecation warnings about handlers.
pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return Path(shutil.copytree(ROOT / "policies", tmp_path / "policies"))


@pytest.fixture
def run(policies: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AUTHZ_POLICY_DIR", str(policies))
    return lambda *words: CliRunner().invoke(main, ["policy", *words])


def _json(result: Result) -> Any:
    return json.loads(result.stdout)


def test_an_explanation_can_be_json(run: Run) -> None:
    denied = run("explain", "--json", "--as", "role:viewer auth:jwt", "DELETE", "/api/v1/teams/7/")
    told = _json(denied)
    assert denied.exit_code == 1
    assert (told["allowed"], told["remedy"], told["opens_with"]) == (False, "grant", ["catalog:write"])
    assert (told["key"], list(told["params"].values())) == ("/api/v1/teams/{team_id}", ["7"])
    assert told["near"][0]["file"] == "catalog.csv"


def test_a_grant_of_a_role_is_shown_with_its_row(run: Run) -> None:
    allowed = run("explain", "--as", "role:editor auth:jwt", "POST", "/api/v1/teams")
    assert allowed.exit_code == 0
    assert "roles.csv:8: g, role:editor, catalog:write" in allowed.stdout


@pytest.mark.parametrize("words", [("read", "record:record-1"), ("record:record-1", "read")])
def test_a_resource_is_explained_in_either_order_of_arguments(run: Run, policies: Path, words: tuple[str, str]) -> None:
    (policies / "things.csv").write_text("p, auth:jwt, record, read, allow\n# end\n")
    assert run("explain", "--as", "auth:jwt", *words).exit_code == 0
    assert run("explain", "--as", "auth:anonymous", *words).exit_code == 1


def test_a_condition_is_explained_with_given_variables(run: Run, policies: Path) -> None:
    rows = (policies / "catalog.csv").read_text().removesuffix("# end\n")
    row = "p, holdings:read, /api/v1/teams, GET, allow, \"ip_in(request.ip, '10.0.0.0/8')\"\n"
    (policies / "catalog.csv").write_text(f"{rows}{row}# end\n")
    question = ("explain", "--as", "auth:jwt holdings:read", "GET", "/api/v1/teams")
    assert run(*question, "--given", "request.ip=10.1.2.3").exit_code == 0
    assert "its condition is not met" in run(*question, "--given", "request.ip=11.1.2.3").stdout
    assert "cannot be evaluated" in run(*question).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("explain", "--as", "catalog:raed", "GET", "/api/v1/teams"), "did you mean `catalog:read`?"),
        (("explain", "--as", "catalog:*", "GET", "/api/v1/teams"), "no wildcards"),
        (("explain", "--as", "role:editr", "GET", "/api/v1/teams"), "did you mean `role:editor`?"),
        (("explain", "--as", " ", "GET", "/api/v1/teams"), "no grant is given"),
        (("explain", "--as", "auth:jwt", "GTE", "/api/v1/teams"), "did you mean `GET`?"),
        (("explain", "--as", "auth:jwt", "GET", "/api/v1/tems"), "did you mean `/api/v1/teams`?"),
        (("explain", "--as", "auth:jwt", "DELETE", "/api/v1/teams"), "callers get 405"),
        (("explain", "--as", "auth:jwt", "GET", "/api/v1/teams?x=1"), "without query"),
        (("explain", "--as", "auth:jwt", "--given", "ip=1", "GET", "/docs"), "request.ip=10.0.0.1"),
        (("explain", "--as", "auth:jwt", "--given", "request.pi=1", "GET", "/docs"), "unknown in"),
        (("explain", "GET", "/docs"), "--as"),
        (("routes", "--permission", "catalog:raed"), "did you mean `catalog:read`?"),
        (("routes", "--path", "api"), "starts with `/`"),
        (("test", "nowhere"), "AUTHZ_POLICY_DIR"),
        (("check", "pyproject.toml"), "is not a directory"),
    ],
)
def test_a_usage_error_shows_the_usage(run: Run, words: tuple[str, ...], told: str) -> None:
    answer = run(*words)
    assert answer.exit_code == 2
    assert told in " ".join(answer.stderr.replace("│", " ").split())


def test_the_matrix_can_be_narrowed(run: Run) -> None:
    by_grant = _json(run("routes", "--json", "--permission", "catalog:write"))["routes"]
    assert {route["method"] for route in by_grant} == {"POST", "PUT", "PATCH", "DELETE"}
    by_path = _json(run("routes", "--json", "--path", "/api/v1/teams/7"))["routes"]
    assert {route["template"] for route in by_path} == {"/api/v1/teams/{team_id}"}
    both = _json(run("routes", "--json", "--path", "/api/v1/teams/**", "--permission", "catalog:read"))["routes"]
    assert {route["method"] for route in both} == {"GET", "HEAD"}


def test_an_empty_result_says_what_to_do(run: Run, policies: Path) -> None:
    assert "To let it open one, write a row" in run("routes", "--permission", "env:test").stdout
    assert "lists all of them" in run("routes", "--path", "/nothing/**").stdout
    shutil.rmtree(policies / "tests")
    untested = run("test")
    assert untested.exit_code == 1
    assert "nothing is proved" in untested.stdout
    example = untested.stdout.partition("\n\n")[2].replace("\n  ", "\n").removeprefix("  ")
    (policies / "tests").mkdir()
    (policies / "tests" / "catalog.yaml").write_text(example)
    assert "2 cases passed" in run("test").stdout


def test_failing_cases_can_be_json(run: Run, policies: Path) -> None:
    (policies / "tests" / "own.yaml").write_text(
        "cases:\n  - as: auth:anonymous\n    allow: POST /api/v1/teams\n# end\n"
    )
    told = _json(run("test", "--json"))
    assert (told["ok"], told["failed"]) == (False, 1)
    (failed,) = [case for case in told["cases"] if not case["passed"]]
    assert (told["directory"], failed["file"], failed["line"]) == (str(policies), "tests/own.yaml", 3)
    assert (failed["expected"], failed["got"], failed["missing"]) == ("allow", "deny", ["catalog:write"])


def test_faults_stop_every_command(run: Run, policies: Path) -> None:
    (policies / "tests" / "own.yaml").write_text("cases: []\n# end\n")
    for words in (("check",), ("test",), ("routes",), ("explain", "--as", "anyone", "GET", "/docs")):
        stopped = run(*words)
        assert stopped.exit_code == 1
        assert "own.yaml:1:8: error[wrong-type]" in stopped.stdout


def test_colour_can_be_switched(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in run("check").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("check").stdout
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in run("check").stdout
