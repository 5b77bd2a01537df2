"""`authz policy check`: reports faults and findings of a policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained
from app.cli.policy.directory import policy_directory
from app.cli.policy.examined_directory import examine_directory
from app.cli.policy.fault_text import place
from app.cli.policy.findings_text import finding_lines
from app.cli.terminal import Styled, plural, show, show_json, show_view

if TYPE_CHECKING:
    from app.cli.policy.check_view import CheckedPolicy
    from app.policy.analysis.examination import Examination
    from app.policy.analysis.findings import Finding
    from app.policy.engine.snapshot import Snapshot

FORMATS = ("text", "json", "sarif", "junit")


@click.command("check")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to print it; text by default.")
@click.option("--all", "every", is_flag=True, help="Print every finding, however many there are.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option(
    "--fix",
    is_flag=True,
    help="Write rows tidily, sort them, drop duplicates and end files with `# end`, before the check.",
)
@click.option("--dry-run", is_flag=True, help="With --fix: print what it would change, and write nothing.")
@explained
def check_command(
    directory: Path | None, *, strict: bool, every: bool, form: str | None, as_json: bool, fix: bool, dry_run: bool
) -> None:
    """Report faults and findings of a policy, with their place.

    Reads the files like the server, and checks them against the routes of the application. A fault refuses the
    policy; a warning or a note does not. DIR is the policy directory; without it AUTHZ_POLICY_DIR, else `policies`.
    Of more than 50 faults and findings the first of each kind are printed, with how many there are; --all prints
    every one, as the other forms do. Exits with 0 when there is no fault (and, with --strict, no warning), with 1 when
    there is one, with 2 when there is no such directory.

    --fix changes no verdict, which it proves before it writes. It also adds the line `# end` to files of rows that lack
    it. With --dry-run it exits with 1 when there is something to change.

    Example: authz policy check --strict policies
    """
    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} cannot be combined.")
    if dry_run and not fix:
        raise click.UsageError("--dry-run requires --fix.")
    form = "json" if as_json else form or "text"
    if fix and form != "text":
        raise click.UsageError("--fix prints only text.")
    chosen = policy_directory(directory)
    if fix:
        from app.cli.policy.fix import end_files, remove_byte_order_marks

        remove_byte_order_marks(chosen, dry_run=dry_run)
        end_files(chosen, dry_run=dry_run)
    report = examine_directory(chosen)
    if fix and report.snapshot and not report.faults:
        from app.cli.policy.fix import fix_files

        if fix_files(report.snapshot, chosen, dry_run=dry_run):
            report = examine_directory(chosen)
    _print(report, chosen, form, strict=strict, in_full=every)
    if not _passes(report, strict):
        raise SystemExit(1)


def _passes(report: Examination, strict: bool) -> bool:
    return not (report.faults or (strict and any(finding.severity == "warning" for finding in report.findings)))


def _print(report: Examination, directory: Path, form: str, *, strict: bool, in_full: bool) -> None:
    every = report.every
    if form == "sarif":
        from app.cli.policy.sarif import sarif

        show_json(sarif(every, directory))
    elif form == "junit":
        click.echo(_junit(report, every, directory, strict), nl=False)
    elif form == "json":
        show_view(_document(report, directory, strict))
    else:
        show(finding_lines(every, directory, "--all", every=in_full))
        show([_summary(report, directory)])
        if report.snapshot and not report.faults:
            show([_size(report.snapshot)])


def _summary(report: Examination, directory: Path) -> list[str | Styled]:
    warnings = sum(finding.severity == "warning" for finding in report.findings)
    notes = len(report.findings) - warnings
    more = [plural(count, noun) for count, noun in ((warnings, "warning"), (notes, "note")) if count]
    more_text = f"; {' and '.join(more)}" if more else ""
    if report.faults or not report.snapshot:
        files = len({fault.file for fault in report.faults})
        where = f" in {plural(files, 'file')}; this policy would be refused{more_text}."
        return [(plural(len(report.faults), "fault"), "bold red"), where]
    return [("No fault", "bold green"), f" in {directory}, revision {report.snapshot.revision}{more_text}."]


def _size(snapshot: Snapshot) -> str:
    policy = snapshot.policy
    counts = [
        plural(len(policy.source.files), "file"),
        plural(len(policy.rules), "rule"),
        plural(len(policy.memberships), "role row"),
        plural(len(policy.cases), "case") + " for `authz policy test`",
    ]
    return f"{', '.join(counts)}; all {plural(len(snapshot.table.routes), 'endpoint')} ruled."


def _document(report: Examination, directory: Path, strict: bool) -> CheckedPolicy:
    from app.cli.policy.check_view import CheckedPolicy
    from app.policy.language.fault_view import fault_views

    ok, faults = _passes(report, strict), fault_views(report.faults)
    findings = [finding.view for finding in report.findings]
    if report.faults or not report.snapshot:
        return CheckedPolicy(ok, str(directory), faults, findings)
    policy = report.snapshot.policy
    return CheckedPolicy(
        ok,
        str(directory),
        faults,
        findings,
        revision=policy.revision,
        files=list(policy.source.files),
        rules=len(policy.rules),
        memberships=len(policy.memberships),
        cases=len(policy.cases),
        endpoints=len(report.snapshot.table.routes),
    )


def _junit(report: Examination, every: list[Finding], directory: Path, strict: bool) -> str:
    """One check for each finding, and a passed one for each file without any."""
    from app.cli.policy.junit import Check, junit

    fails = ("error", "warning") if strict else ("error",)
    checks = [
        Check(
            str(directory / finding.at.file),
            f"{finding.severity}[{finding.at.code}] {place(finding.at, directory)}",
            finding.at.line,
            finding.at.message if finding.severity in fails else "",
            f"{finding.at.text}\n{finding.at.hint}".strip("\n"),
        )
        for finding in every
    ]
    reported = {finding.at.file for finding in every}
    files = report.snapshot.policy.source.files if report.snapshot else ()
    checks += [Check(str(directory / file), "has nothing wrong") for file in files if file not in reported]
    return junit("authz policy check", checks)
