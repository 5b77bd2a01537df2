"""The comments of a pull request on GitHub and of a merge request on GitLab, from the environment of a job."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from app.identity.address import is_trustworthy

Platform = Literal["github", "gitlab"]
# Who writes with the token that GitHub gives to each job; it cannot ask who it is.
GITHUB_BOT = "github-actions[bot]"
_GITHUB = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class NoThread(Exception):
    """There is nothing to comment on, or no token; the message says why."""


class UnusableThread(Exception):
    """A variable of the job is not what the platform sets."""


@dataclass(frozen=True, slots=True)
class CommentThread:
    """The comments of one request.

    `comments` is the address of their list, and `comment` that of one without its id. `author` is the login of those
    that we wrote; without it `user` is the address of the own user.
    """

    name: str
    comments: str
    comment: str
    edit: Literal["PATCH", "PUT"]
    headers: Mapping[str, str]
    author: str | None = None
    user: str | None = None


def thread_of(platform: Platform, environment: Mapping[str, str], author: str | None = None) -> CommentThread:
    """The thread of a job. Raises NoThread and UnusableThread."""
    return _github(environment, author or GITHUB_BOT) if platform == "github" else _gitlab(environment)


def _github(environment: Mapping[str, str], author: str) -> CommentThread:
    number = re.fullmatch(r"refs/pull/([0-9]+)/(?:merge|head)", environment.get("GITHUB_REF", ""))
    if number is None:
        raise NoThread("this job is not one of a pull request")
    token = _token(environment, "GITHUB_TOKEN")
    repository = _matching(environment, "GITHUB_REPOSITORY", r"[\w.-]+/[\w.-]+")
    issues = f"{_address(environment, 'GITHUB_API_URL')}/repos/{repository}/issues"
    return CommentThread(
        f"pull request {number[1]}",
        f"{issues}/{number[1]}/comments",
        f"{issues}/comments",
        "PATCH",
        {**_GITHUB, "Authorization": f"Bearer {token}"},
        author=author,
    )


def _gitlab(environment: Mapping[str, str]) -> CommentThread:
    if not environment.get("CI_MERGE_REQUEST_IID"):
        raise NoThread("this job is not one of a merge request")
    token = _token(environment, "POLICY_REVIEW_TOKEN")
    number = _matching(environment, "CI_MERGE_REQUEST_IID", "[0-9]+")
    project = _matching(environment, "CI_MERGE_REQUEST_PROJECT_ID", "[0-9]+")
    api = _address(environment, "CI_API_V4_URL")
    notes = f"{api}/projects/{project}/merge_requests/{number}/notes"
    return CommentThread(f"merge request {number}", notes, notes, "PUT", {"PRIVATE-TOKEN": token}, user=f"{api}/user")


def _token(environment: Mapping[str, str], name: str) -> str:
    token = environment.get(name, "")
    if not token:
        raise NoThread(f"{name} is not set")
    if not re.fullmatch(r"[!-~]+", token):
        raise UnusableThread(f"{name} is not a token: it has spaces, line breaks or other characters that no token has")
    return token


def _address(environment: Mapping[str, str], name: str) -> str:
    address = environment.get(name, "").rstrip("/")
    if not is_trustworthy(address):
        raise UnusableThread(f"{name} must be an address with https://, since the token is sent there")
    return address


def _matching(environment: Mapping[str, str], name: str, pattern: str) -> str:
    value = environment.get(name, "")
    if not re.fullmatch(pattern, value, re.ASCII):
        raise UnusableThread(f"{name} is not as the platform sets it")
    return value
