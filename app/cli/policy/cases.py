"""`authz policy test`: runs the cases in tests/*.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained
from app.cli.policy.case_text import failure_lines
from app.cli.policy.coverage_text import coverage_lines
from app.cli.policy.directory import policy_directory, sound_snapshot
from app.cli.terminal import Line, plural, show, show_view

if TYPE_CHECKING:
    from app.policy.analysis.case_runner import Outcome
    from app.policy.analysis.coverage import Coverage
    from app.policy.language.load import Policy

MAX_FAILURES = 20  # of a file


@click.command("test")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--coverage", is_flag=True, help="Name the rows and endpoints that no case exercises.")
@click.option("--fail-under", type=click.FloatRange(0, 100), metavar="N", help="Exit with 1 below N % of either.")
@click.option("--all", "every", is_flag=True, help="Print every case that fails, however many there are.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Also write JUnit XML to a file.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def test_command(
    directory: Path | None,
    *,
    coverage: bool,
    fail_under: float | None,
    every: bool,
    junit: Path | None,
    as_json: bool,
) -> None:
    """Run the cases in DIR/tests/*.yaml.

    A case says who asks for what and which verdict is right. DIR is the policy directory; without it
    AUTHZ_POLICY_DIR, else `policies`. Exits with 0 when all cases pass, with 1 when one fails, when there is none,
    when the coverage is under --fail-under or when the policy has a fault, with 2 when there is no such directory.

    Of each file the first 20 cases that fail are printed; --all prints every one, as --json and --junit do.

    A row is exercised by a case that passes and that it decides, an endpoint by a case that passes and asks about it.

    Example: authz policy test --coverage --fail-under 90 policies
    """
    from app.policy.analysis.case_runner import run

    chosen = policy_directory(directory)
    snapshot = sound_snapshot(chosen, as_json=as_json)
    outcomes = list(run(snapshot, snapshot.policy.cases))
    failed = [outcome for outcome in outcomes if not outcome.passed]
    found: Coverage | None = None
    if coverage or fail_under is not None:
        from app.policy.analysis.coverage import measure

        found = measure(snapshot, outcomes)
    is_under = found is not None and fail_under is not None and found.percent < fail_under
    if junit:
        _write_junit(junit, outcomes, chosen)
    if as_json:
        _print_document(outcomes, found, snapshot.revision, chosen, ok=bool(outcomes) and not failed and not is_under)
    else:
        show(_summary(outcomes, snapshot.policy, chosen, most=None if every else MAX_FAILURES))
        if found:
            show(coverage_lines(found, snapshot.policy.source, chosen))
        if is_under:
            show(["", [("The coverage is under", "bold red"), f" {fail_under:g} %."]])
    if failed or not outcomes or is_under:
        raise SystemExit(1)


def _print_document(
    outcomes: list[Outcome], coverage: Coverage | None, revision: str, directory: Path, *, ok: bool
) -> None:
    from msgspec import UNSET

    from app.cli.policy.cases_view import TestedPolicy, case_result, coverage_view

    passed = sum(outcome.passed for outcome in outcomes)
    show_view(
        TestedPolicy(
            ok=ok,
            directory=str(directory),
            revision=revision,
            passed=passed,
            failed=len(outcomes) - passed,
            cases=[case_result(outcome) for outcome in outcomes],
            coverage=coverage_view(coverage) if coverage else UNSET,
        )
    )


def _write_junit(file: Path, outcomes: list[Outcome], directory: Path) -> None:
    from app.cli.failure import fail
    from app.cli.policy.case_text import case_checks
    from app.cli.policy.junit import junit

    try:
        file.write_text(junit("authz policy test", case_checks(outcomes, directory)), encoding="utf-8")
    except OSError as error:
        fail(f"{file} cannot be written: {error.strerror}.")


def _summary(outcomes: list[Outcome], policy: Policy, directory: Path, *, most: int | None) -> Iterator[Line]:
    for file, group in groupby(outcomes, key=lambda outcome: outcome.case.file):
        of_file = list(group)
        failed = [outcome for outcome in of_file if not outcome.passed]
        mark = ("FAIL", "bold red") if failed else ("ok  ", "green")
        passed = len(of_file) - len(failed)
        yield [mark, f"  {directory / file}  {passed} of {len(of_file)}"]
        for outcome in failed[:most]:
            yield ""
            yield from failure_lines(outcome, policy.source, directory)
        if most is not None and len(failed) > most:
            yield ""
            yield f"… and {len(failed) - most:,} more; --all prints every one."
        if failed:
            yield ""
    failures = sum(not outcome.passed for outcome in outcomes)
    if not outcomes:
        yield [
            ("There are no cases", "bold red"),
            f", so nothing is proved. Write {directory / 'tests/policies.yaml'}:",
        ]
        yield from ("", *("  " + line for line in EXAMPLE.splitlines()))
    elif failures:
        yield [(f"{failures} of {plural(len(outcomes), 'case')} failed.", "bold red")]
    else:
        yield [(f"{plural(len(outcomes), 'case')} passed", "bold green"), f", revision {policy.revision}."]


EXAMPLE = """\
cases:
  - name: Who may look at the policy cannot publish one
    as: auth:jwt policies:read
    allow:
      - GET /api/v1/policies
    deny:
      - POST /api/v1/policies/publish: lacks policies:write
# end"""
