"""Runs the GitHub action and the GitLab job for each kind of change, as the tests do for a few.

.venv/bin/python -m scripts.trials.ci_jobs                 # with the environment of this checkout
.venv/bin/python -m scripts.trials.ci_jobs --install       # the jobs install authz themselves, from its locks

Each change is pushed after one without an effect: the request has one comment in the end, which says what the change
does.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.support.ci_jobs import GitHubJob, GitLabJob, JobResult, checkout_of_authz, commit, git, new_repository
from tests.support.comment_hosts import CommentHost
from tests.support.policy_changes import CHANGES, Change, repository
from tests.support.server import ROOT


def installed_checkout(directory: Path) -> Path:
    """A clone of this repository as it was committed last, whose environment the job creates."""
    git(directory.parent, "clone", "--quiet", str(ROOT), directory.name)
    return directory


def on_github(checkout: Path, directory: Path, change: Change, host: CommentHost) -> list[JobResult]:
    """The results before and after a change."""
    root, results = repository(directory / "shop"), []
    for make in (lambda _: None, change.make):
        make(root)
        commit(root)
        results.append(GitHubJob(checkout, root, directory / "runner", host, {"sample-api": "false"}).run())
    return results


def on_gitlab(checkout: Path, directory: Path, change: Change, host: CommentHost) -> list[JobResult]:
    """The results before and after a change."""
    root, results = repository(directory / "shop"), []
    base = git(root, "rev-parse", "HEAD")
    for make in (lambda _: None, change.make):
        make(root)
        commit(root)
        results.append(GitLabJob(checkout, root, host, base, {"AUTHZ_SAMPLE_API": "false"}).run())
    return results


def on_a_fork(checkout: Path, directory: Path) -> str:
    """What is not as expected when the token may not comment, if anything."""
    root = repository(directory / "shop")
    CHANGES[-1].make(root)
    commit(root)
    with CommentHost(refusal=403) as host:
        result = GitHubJob(checkout, root, directory / "runner", host, {"sample-api": "false"}).run()
    is_right = result.status == CHANGES[-1].status and not host.comments and "a fork does not get" in result.output
    return "" if is_right and "**5 faults**" in result.summary else f"it ends with {result.status}:\n{result.output}"


def wrong(change: Change, results: list[JobResult], host: CommentHost) -> str:
    """What is not as expected, if anything."""
    if [result.status for result in results] != [0, change.status]:
        return f"the statuses are {[result.status for result in results]}:\n{results[-1].output}"
    if len(host.comments) != 1:
        return f"there are {len(host.comments)} comments"
    missing = [text for text in change.shown if text not in host.bodies[0]]
    if missing:
        return f"the comment has no {missing}:\n{host.bodies[0]}"
    commands = [line for result in results for line in result.runner_commands]
    return f"the runner of GitHub would obey {commands}" if commands else ""


def main() -> None:
    """Try each change on both platforms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--install", action="store_true", help="let the jobs install authz from its locks")
    install = parser.parse_args().install
    failed = 0
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        if install:
            checkout = installed_checkout(home / "authz")
        else:
            checkout = checkout_of_authz(new_repository(home / "authz"))
            commit(checkout)
        for platform in (on_github, on_gitlab):
            for change in CHANGES[:1] if install and platform is on_gitlab else CHANGES:
                began = time.monotonic()
                with CommentHost() as host:
                    directory = home / "job"
                    said = wrong(change, platform(checkout, directory, change, host), host)
                    shutil.rmtree(directory)
                failed += bool(said)
                seconds = time.monotonic() - began
                print(
                    f"{platform.__name__}  {change.make.__name__}  {said or 'as expected'}  ({seconds:.1f} s)",
                    flush=True,
                )
        said = on_a_fork(checkout, home / "fork")
        print(f"on_a_fork  {said or 'as expected'}")
        failed += bool(said)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
