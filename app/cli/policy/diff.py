"""`authz policy diff`: reports who gains and who loses access by a change of the policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained
from app.cli.policy.access_text import MAX_DETAILS, change_line, summary_lines
from app.cli.policy.diff_text import detail_lines, totals, unknown_lines
from app.cli.policy.policy_argument import find, snapshot_of
from app.cli.terminal import Line, plain, show, show_view

if TYPE_CHECKING:
    from app.cli.policy.comparison import Comparison
    from app.cli.policy.policy_argument import PolicyArgument

FORMATS = ("text", "json", "markdown")


@click.command("diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--details", is_flag=True, help="Print each endpoint and the rows behind it, however many there are.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="How to print it; text by default.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@explained
def diff_command(*, old: str, new: str, details: bool, form: str | None, as_json: bool) -> None:
    """Report who gains and who loses access when the policy OLD becomes NEW.

    Each is a directory, a revision of the history in AUTHZ_DATABASE_URL (4 to 16 hex digits), or the address of a
    server, of which the active policy is read with the token in AUTHZ_TOKEN; that needs `policies:read`.

    Only the meaning counts: order, formatting and comments change nothing. The report begins with a summary. Each line
    of the details is access to an endpoint, gained or lost by callers who state the grants in it, with the rows behind
    it; gains come first. `MAY` marks changes that depend on a condition. Details of many endpoints are printed with
    --details, and --json has all. Then come the files that changed, those of cases too. --format markdown is for
    comments on a code host, and has all, too.
    NEW must pass `authz policy check`; OLD may lack rows for endpoints that are newer than it.

    Exits with 0 when access does not widen, with 1 when it does or when a policy has a fault, with 2 when one
    of them cannot be read.

    Example: authz policy diff https://authz.example.com policies
    """
    from app.cli.policy.comparison import compare_policies

    if as_json and form not in (None, "json"):
        raise click.UsageError(f"--json and --format {form} cannot be combined.")
    form = "json" if as_json else form or "text"
    before, after = find(old), find(new)
    comparison = compare_policies(
        snapshot_of(before, is_old=True, as_json=form == "json"),
        snapshot_of(after, as_json=form == "json"),
        before.place,
        after.place,
    )
    if form == "json":
        _print_document(comparison, before, after)
    elif form == "markdown":
        from app.cli.policy.comparison_markdown import detail_sections, summary_sections, verdict
        from app.cli.policy.markdown import render

        sections = [*summary_sections(comparison), *detail_sections(comparison)]
        click.echo(render([verdict(comparison)], sections), nl=False)
    else:
        show(_report(comparison, details=details))
    if comparison.difference.widens:
        raise SystemExit(1)


def _print_document(comparison: Comparison, old: PolicyArgument, new: PolicyArgument) -> None:
    from app.cli.policy.diff_view import ComparedPolicy, PolicyDiff, change_summary, diff_change
    from app.policy.analysis.diff_summary import summarize
    from app.policy.language.endpoint import Endpoint

    difference, snapshots = comparison.difference, comparison.snapshots
    show_view(
        PolicyDiff(
            widens=difference.widens,
            summary=[change_summary(headline) for headline in summarize(difference)],
            old=ComparedPolicy(**old.view, revision=snapshots["old"].revision),
            new=ComparedPolicy(**new.view, revision=snapshots["new"].revision),
            changes=[diff_change(change, snapshots, plain(change_line(change))) for change in difference.changes],
            unknown=[Endpoint(action, resource) for resource, action in difference.unknown],
            files=list(comparison.files),
            entries=list(comparison.entries),
        )
    )


def _report(comparison: Comparison, *, details: bool) -> Iterator[Line]:
    difference = comparison.difference
    yield from summary_lines(difference, every=details)
    if details or len(difference.changes) <= MAX_DETAILS:
        yield from detail_lines(difference.changes, comparison.places, comparison.snapshots)
        yield from unknown_lines(difference)
    if comparison.files:
        yield "Files:"
        yield from (f"  {file.name}  {file}" for file in comparison.files)
        yield ""
    if difference.is_empty:
        yield [("Nothing changes", "bold green"), ": both policies decide alike."]
        return
    verdict = ("access widens", "bold red") if difference.widens else ("access does not widen", "bold green")
    hint = "" if details or len(difference.changes) <= MAX_DETAILS else " --details shows each."
    yield [f"{totals(difference)}: ", verdict, f".{hint}"]
