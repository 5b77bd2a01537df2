"""`authz policy review`: checks, tests and compares a policy, for a pull or merge request."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import rich_click as click

from app.cli.failure import explained, fail
from app.cli.policy.review.platforms import Platform

if TYPE_CHECKING:
    from app.cli.policy.review.policy_review import PolicyReview

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


@click.command("review")
@click.argument("base", metavar="[BASE]", required=False)
@click.option("--dir", "directory", type=click.Path(path_type=Path), metavar="DIR", help="The policy directory.")
@click.option(
    "--output", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write the reports into it."
)
@click.option(
    "--fail-on",
    default="faults,cases",
    show_default=True,
    metavar="LIST",
    help="What exits with 1: faults, cases, warnings, widening; or none.",
)
@click.option("--platform", type=click.Choice(get_args(Platform)), default="github", help="Whose limit a comment has.")
@click.option("--commit", metavar="ID", help="The commit that the comment names; without it HEAD.")
@explained
def review_command(
    *,
    base: str | None,
    directory: Path | None,
    output: Path | None,
    fail_on: str,
    platform: Platform,
    commit: str | None,
) -> None:
    """Check, test and compare a policy for a pull or merge request.

    BASE is a branch or commit of the git repository in which the command runs. The policy is compared with that of the
    commit at which HEAD and BASE separated, also if the directory was moved. DIR is the policy directory; without it
    AUTHZ_POLICY_DIR, else `policies`.

    Prints the comment, in Markdown. With --output it writes `comment.md`, `check.sarif`, `cases.xml` (JUnit) and
    `code-quality.json` (GitLab). A policy that cannot be compared counts as one that widens access.

    Exits with 1 when something of --fail-on is found, with 2 when the directory or BASE cannot be read.

    Example: authz policy review origin/main --output review --fail-on faults,cases,widening
    """
    from app.cli.policy.directory import policy_directory
    from app.cli.policy.review.git_base import CannotReadBase, head_commit
    from app.cli.policy.review.policy_review import review_policy
    from app.settings import load_local

    conditions = _conditions(fail_on, with_base=base is not None)
    if commit is not None and not _COMMIT.fullmatch(commit):
        raise click.UsageError("--commit is the id of a commit: 7 to 64 of 0-9 and a-f.")
    try:
        _refuse_tracked_settings()
        chosen = policy_directory(directory) if base is None else directory or load_local().policy_dir
        review = review_policy(chosen, base)
        _report(review, commit or head_commit(), platform, output)
    except CannotReadBase as error:
        fail(f"{error}.", code=2)
    if review.error:
        fail(f"{review.error}.", code=2)
    if review.fails(conditions):
        raise SystemExit(1)


def _report(review: PolicyReview, commit: str, platform: Platform, output: Path | None) -> None:
    from app.cli.policy.review.reports import reports_of, write_reports
    from app.cli.policy.review.review_markdown import LIMITS, comment_of

    comment = comment_of(review, commit, LIMITS[platform])
    if output:
        write_reports(output, reports_of(review, comment))
    click.echo(comment.partition("\n\n")[2], nl=False)  # without the hidden line


def _conditions(words: str, *, with_base: bool) -> tuple[str, ...]:
    """The conditions in a list. Raises UsageError."""
    from app.cli.policy.review.policy_review import CONDITIONS

    found = tuple(filter(None, re.split(r"[\s,]+", words)))
    if found == ("none",):
        return ()
    unknown = [word for word in found if word not in CONDITIONS]
    if unknown or not found:
        known = ", ".join(CONDITIONS)
        raise click.UsageError(f"--fail-on is a list of {known}, or none; not `{unknown[0] if unknown else ''}`.")
    if "widening" in found and not with_base:
        raise click.UsageError("--fail-on widening requires BASE.")
    return found


def _refuse_tracked_settings() -> None:
    """Refuse settings in a file that a pull request could change: AUTHZ_ROUTES imports a module."""
    from app.cli.policy.review.git_base import is_tracked
    from app.settings_variables import ENV_FILE, file_settings

    if file_settings() and is_tracked(str(ENV_FILE)):
        fail(
            f"`{ENV_FILE}` belongs to the repository and has settings, which a change under review could alter:"
            " set them in the environment of the job instead.",
            code=2,
        )
