"""`authz policy diff`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.examples import authz, example
from tests.support.server import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory with two copies of the shipped policy, in `main/policies` and in `policies`."""
    shutil.copytree(ROOT / "policies", tmp_path / "main" / "policies")
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    return tmp_path


def edit(work: Path, file: str, old: str, new: str) -> None:
    path = work / "policies" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_example_of_the_document_is_its_output(work: Path) -> None:
    edit(work, "catalog.csv", "p, catalog:read, /api/v1/venues/**", "p, anyone, /api/v1/venues/**")
    edit(work, "holdings.csv", "p, holdings:write, /api/v1/tags/**", "p, holdings:write auth:jwt, /api/v1/tags/**")
    compared = authz("policy", "diff", "main/policies", "policies", cwd=work)
    assert compared.returncode == 1
    assert compared.stdout == example("authz policy diff main/policies policies")


def test_it_fails_only_when_access_widens(work: Path) -> None:
    same = authz("policy", "diff", "main/policies", "policies", cwd=work)
    assert (same.returncode, same.stdout) == (0, "Nothing changes: both policies decide alike.\n")
    edit(work, "catalog.csv", "# end", "p, env:test, /api/v1/teams, POST, deny\n# end")
    narrower = authz("policy", "diff", "main/policies", "policies", cwd=work)
    assert narrower.returncode == 0, narrower.stdout
    assert "LOSS  POST /api/v1/teams  for holders of catalog:write + env:test\n" in narrower.stdout
    wider = authz("policy", "diff", "--json", "policies", "main/policies", cwd=work)
    told = json.loads(wider.stdout)
    assert wider.returncode == 1
    assert told["widens"] is True
    (change,) = told["changes"]
    assert (change["change"], change["resource"], change["actions"]) == ("gain", "/api/v1/teams", ["POST"])
    assert change["holds"] == [["catalog:write"], ["env:test"]]
    assert [(row["policy"], row["file"]) for row in change["rows"]] == [("old", "catalog.csv")]


def test_a_path_that_matches_another_template_is_shown(work: Path) -> None:
    document = "openapi: 3.1.0\npaths:\n  /v1/{id}: {get: {}}\n"
    row = "p, catalog:read, shop:/v1/{id}, GET, allow\n"
    export = "p, holdings:read, shop:/v1/export, GET, allow\n"
    for policy, paths, rows in (("main/policies", "  /v1/export: {get: {}}\n", row + export), ("policies", "", row)):
        (work / policy / "upstreams").mkdir(exist_ok=True)
        (work / policy / "upstreams/shop.openapi.yaml").write_text(document + paths)
        (work / policy / "shop.csv").write_text(f"{rows}# end\n")
    compared = authz("policy", "diff", "main/policies", "policies", cwd=work)
    assert compared.returncode == 1
    assert (
        "GAIN  GET|HEAD shop:/v1/export, now answered by shop:/v1/{id} instead of shop:/v1/export," in compared.stdout
    )
    (gain,) = [
        change
        for change in json.loads(authz("policy", "diff", "--json", "main/policies", "policies", cwd=work).stdout)[
            "changes"
        ]
        if change["change"] == "gain"
    ]
    assert gain["reroute"] == {"path": "shop:/v1/export", "was": "shop:/v1/export", "now": "shop:/v1/{id}"}


def test_a_large_difference_is_summarized_and_details_are_optional(work: Path) -> None:
    edit(work, "roles.csv", "# end", "g, user:bob, role:admin\n# end")
    (work / "policies/tests/tokens.yaml").unlink()
    short = authz("policy", "diff", "main/policies", "policies", cwd=work).stdout.splitlines()
    document = json.loads(authz("policy", "diff", "--json", "main/policies", "policies", cwd=work).stdout)
    count, conditional = len(document["changes"]), sum(change["may"] for change in document["changes"])
    assert 0 < conditional < count
    assert short == [
        f"user:bob gains role:admin: {count - conditional} endpoints",
        f"user:bob gains role:admin: {conditional} endpoints, where conditions allow",
        "",
        "Files:",
        "  roles.csv  changed: 1 row added",
        "  tests/tokens.yaml  deleted: 17 cases removed",
        "",
        f"{count} gains, 0 losses: access widens. --details shows each.",
    ]
    assert [line["text"] for line in document["summary"]] == short[:2]
    assert [file["name"] for file in document["files"]] == ["roles.csv", "tests/tokens.yaml"]
    assert len(document["entries"]) == 18
    full = authz("policy", "diff", "--details", "main/policies", "policies", cwd=work).stdout.splitlines()
    assert full[0] == short[0]
    assert sum(line.startswith("GAIN  ") for line in full) == count - conditional
    assert sum(line.startswith("MAY GAIN  ") for line in full) == conditional


def test_the_new_policy_must_be_loadable(work: Path) -> None:
    edit(work, "catalog.csv", "teams/**, GET|HEAD, allow", "teams/**, GET|HEAD, alow")
    refused = authz("policy", "diff", "main/policies", "policies", cwd=work)
    assert refused.returncode == 1
    assert "policies/catalog.csv:7:46: error[effect]" in refused.stdout


def test_the_old_policy_may_lack_an_endpoint(work: Path) -> None:
    row = "p, policies:write, /api/v1/policies/reload, POST, allow\n"
    edit(work, "admin.csv", row, "")
    compared = authz("policy", "diff", "policies", "main/policies", cwd=work)
    assert "MAY GAIN  POST /api/v1/policies/reload  for holders of policies:write, unless " in compared.stdout
    assert compared.returncode == 1


def test_a_missing_directory_is_a_usage_error(work: Path) -> None:
    assert authz("policy", "diff", "nowhere", "policies", cwd=work).returncode == 2
    assert authz("policy", "diff", "policies", cwd=work).returncode == 2


def test_a_difference_is_printed_in_markdown(work: Path) -> None:
    edit(work, "catalog.csv", "p, catalog:read, /api/v1/venues/**", "p, anyone, /api/v1/venues/**")
    edit(work, "catalog.csv", "# end", "p, env:test, /api/v1/teams, POST, deny\n# end")
    compared = authz("policy", "diff", "main/policies", "policies", "--format", "markdown", cwd=work)
    assert compared.returncode == 1
    shown = compared.stdout
    assert shown.startswith(
        "**Access widens**: 2 gains, 1 loss.\n\n### What opens\n\n```text\neveryone gains 2 endpoints\n```\n"
    )
    assert shown.index("### What closes") < shown.index("<details><summary>Each gain, with its rows</summary>")
    assert "    now  policies/catalog.csv:8: p, anyone, /api/v1/venues/**, GET|HEAD, allow\n" in shown
    assert "catalog.csv  changed: 2 rows added, 1 row removed\n" in shown
    same = authz("policy", "diff", "policies", "policies", "--format", "markdown", cwd=work)
    assert (same.returncode, same.stdout) == (0, "**No verdict changes.** Both policies decide alike.\n")
    assert authz("policy", "diff", "policies", "policies", "--json", "--format", "text", cwd=work).returncode == 2
