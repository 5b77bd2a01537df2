"""`authz policy comment`: sends a review as the one comment on a pull or merge request."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import rich_click as click

from app.cli.failure import explained, fail
from app.cli.policy.review.platforms import GITHUB_BOT, Platform


@click.command("comment")
@click.argument("platform", metavar="PLATFORM", type=click.Choice(get_args(Platform)))
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--author", metavar="LOGIN", help=f"Whose comment it is on GitHub; without it {GITHUB_BOT}.")
@explained
def comment_command(*, platform: Platform, file: Path, author: str | None) -> None:
    """Send a review as the comment on a pull request (github) or merge request (gitlab).

    FILE is `comment.md` of `authz policy review`. The first run creates the comment, and later ones edit it; only a
    comment of the same author is edited. The request is that of the job, from the variables that the platform sets. The
    token is in GITHUB_TOKEN, which needs `pull-requests: write`, or in POLICY_REVIEW_TOKEN for GitLab, which needs the
    scope `api`; it is sent to the API of the platform only.

    Without a request or a token, or if the token may not comment on GitHub (as on pull requests from forks), it says so
    and exits with 0. Exits with 1 if the comment cannot be sent, with 2 when FILE is no review.

    Example: authz policy comment github review/comment.md
    """
    from app.cli.policy.review.comment_thread import CannotComment, NotAllowed, ThreadClient
    from app.cli.policy.review.platforms import NoThread, UnusableThread, thread_of

    body = _comment(file)
    try:
        thread = thread_of(platform, os.environ, author)
        with ThreadClient(thread) as client:
            change = client.put(body)
    except NoThread as error:
        click.echo(f"No comment: {error}.")
    except UnusableThread as error:
        fail(f"{error}.", code=2)
    except NotAllowed as error:
        if platform == "gitlab":
            fail(f"{error}: POLICY_REVIEW_TOKEN needs the scope `api` and the role Reporter in this project.")
        click.echo(f"No comment: {error}. GITHUB_TOKEN needs `pull-requests: write`, which a fork does not get.")
    except CannotComment as error:
        fail(f"the comment could not be sent: {error}.")
    else:
        click.echo(f"The comment on {thread.name} is {change}.")


def _comment(file: Path) -> str:
    from app.cli.policy.review.review_markdown import MARKER

    try:
        body = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        body = ""
    if not MARKER.fullmatch(body.partition("\n")[0]):
        fail(f"`{file}` is not a review: give `comment.md` of `authz policy review --output`.", code=2)
    return body
