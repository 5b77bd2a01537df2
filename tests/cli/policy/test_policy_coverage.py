"""`authz policy test` with tables, coverage and JUnit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.examples import GUIDE, authz, example, fits
from tests.support.server import ROOT

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory with a copy of the shipped policy in `policies`."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    return tmp_path


def test_the_shipped_cases_exercise_every_row_and_endpoint() -> None:
    tested = authz("policy", "test", "--coverage", "--fail-under", "100")
    assert tested.returncode == 0, f"add cases; those of OPTIONS are in policies/tests/public.yaml:\n{tested.stdout}"
    assert " rows (100 %) and " in tested.stdout


def test_unexercised_rows_are_listed_as_in_the_document(work: Path) -> None:
    (work / "policies" / "tests" / "tokens.yaml").unlink()
    tested = authz("policy", "test", "--coverage", "--fail-under", "100", "policies", cwd=work)
    assert tested.returncode == 1
    assert fits(tested.stdout, example("authz policy test --coverage --fail-under 100 policies"))
    told = json.loads(authz("policy", "test", "--coverage", "--json", "policies", cwd=work).stdout)
    assert told["ok"] is True
    missing = [row["row"] for row in told["coverage"]["rows"]["missing"]]
    assert "p, tokens:introspect, /oauth/introspect, POST, allow" in missing
    assert {"resource": "/oauth/introspect", "action": "POST"} in told["coverage"]["endpoints"]["missing"]
    assert told["coverage"]["percent"] < 100
    enough = authz("policy", "test", "--fail-under", "50", "policies", cwd=work)
    assert enough.returncode == 0


def test_junit_has_a_suite_per_file_and_a_failure_per_failing_case(work: Path) -> None:
    (work / "policies" / "tests" / "wrong.yaml").write_text(
        "cases:\n  - name: Wrong\n    as: auth:jwt\n    allow: GET /api/v1/teams\n# end\n"
    )
    tested = authz("policy", "test", "--junit", "report.xml", "policies", cwd=work)
    assert tested.returncode == 1
    root = ET.fromstring((work / "report.xml").read_text())
    files = {str(Path("policies/tests") / path.name) for path in (work / "policies" / "tests").iterdir()}
    assert {suite.get("name") for suite in root} == files
    (failed,) = root.findall(".//testcase[failure]")
    assert (failed.get("file"), failed.get("line")) == ("policies/tests/wrong.yaml", "4")
    assert failed.get("name") == "Wrong: GET /api/v1/teams  as auth:jwt"
    failure = failed.find("failure")
    assert failure is not None
    assert failure.get("message") == "expected allow, got deny"
    assert root.get("failures") == "1"
    assert int(root.get("tests", "0")) == len(root.findall(".//testcase"))


@pytest.mark.parametrize("words", ["--fail-under 101", "--fail-under x", "--junit ."])
def test_invalid_options_are_a_usage_error(words: str) -> None:
    assert authz("policy", "test", *words.split()).returncode == 2


def test_an_unwritable_report_is_an_error(work: Path) -> None:
    tested = authz("policy", "test", "--junit", "nowhere/report.xml", "policies", cwd=work)
    assert tested.returncode == 1
    assert "nowhere/report.xml cannot be written" in tested.stderr


def test_the_table_of_the_document_passes(work: Path) -> None:
    _, _, after = GUIDE.read_text().partition("```yaml\n")
    tables = [block.partition("```")[0] for block in ("```yaml\n" + after).split("```yaml\n") if "table:" in block]
    assert tables
    for number, table in enumerate(tables):
        (work / "policies" / "tests" / f"document{number}.yaml").write_text(table)
    tested = authz("policy", "test", "policies", cwd=work)
    assert tested.returncode == 0, tested.stdout
    assert "policies/tests/document0.yaml  8 of 8" in tested.stdout
