"""Runs the steps of the GitHub action and of the GitLab job by bash, as the runners of the platforms do."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.comment_hosts import TOKEN, CommentHost
from tests.support.server import AUTHZ, ROOT

ACTION = ROOT / ".github" / "actions" / "policy" / "action.yml"
GITLAB = ROOT / "scripts" / "ci" / "gitlab" / "policy.yml"
_EXPRESSION = re.compile(r"\$\{\{ ([\w.-]+) \}\}")
_SETUP = ("scripts/setup", "scripts/requirements/run.txt", "scripts/requirements/dev.txt", "pyproject.toml")
_IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
_COMMITTER = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}


@dataclass(frozen=True, slots=True)
class JobResult:
    """The status and output of a job, and what it wrote for the platform."""

    status: int
    output: str
    summary: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def runner_commands(self) -> list[str]:
        """The lines that the runner of GitHub obeys."""
        found, stopped = [], ""
        for line in self.output.splitlines():
            if stopped:
                stopped = "" if line.strip() == f"::{stopped}::" else stopped
            elif line.strip().startswith("::stop-commands::"):
                stopped = line.strip().removeprefix("::stop-commands::")
            elif line.lstrip().startswith("::") or "##[" in line:
                found.append(line)
        return found


def git(directory: Path, *words: str) -> str:
    """The output of a git command."""
    env = {**os.environ, **_IDENTITY, **_COMMITTER, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=directory, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def new_repository(directory: Path) -> Path:
    """An empty repository on the branch `main`."""
    directory.mkdir(parents=True, exist_ok=True)
    git(directory, "init", "--quiet", "--initial-branch", "main")
    return directory


def commit(directory: Path, *words: str) -> str:
    """Commit everything, and return the id."""
    git(directory, "add", "--all", "--force")
    git(directory, "commit", "--quiet", "--allow-empty", "--message", "m", *words)
    return git(directory, "rev-parse", "HEAD")


def checkout_of_authz(directory: Path) -> Path:
    """What the platforms check out of this repository, with an environment that is set up already."""
    for name in (*_SETUP, str(ACTION.relative_to(ROOT))):
        target = directory / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
        target.chmod((ROOT / name).stat().st_mode)
    (directory / ".venv").mkdir()
    (directory / ".venv" / "bin").symlink_to(AUTHZ.parent)
    stamp = "cat scripts/requirements/run.txt pyproject.toml | cksum > .venv/.stamp"
    subprocess.run(["bash", "-c", stamp], cwd=directory, check=True)
    return directory


@dataclass(frozen=True, slots=True)
class GitHubJob:
    """A job that uses the action on a pull request. `home` is for the files of the runner."""

    action: Path
    workspace: Path
    home: Path
    host: CommentHost
    inputs: Mapping[str, str] = field(default_factory=dict)
    event: str = "pull_request"
    token: str = TOKEN

    def run(self) -> JobResult:
        """Run the steps until one fails."""
        described = yaml.safe_load((self.action / ACTION.relative_to(ROOT)).read_text())
        self.home.mkdir(exist_ok=True)
        context = {
            "github.action_path": str((self.action / ACTION.relative_to(ROOT)).parent),
            "github.event_name": self.event,
            "github.event.pull_request.head.sha": git(self.workspace, "rev-parse", "HEAD"),
            "github.token": self.token,
        }
        for name, about in described["inputs"].items():
            context[f"inputs.{name}"] = self.inputs.get(name, self._resolved(about["default"], context))
        summary, output = self.home / "summary", ""
        summary.write_text("")
        outputs: dict[str, str] = {}
        status = 0
        for step in described["runs"]["steps"]:
            if not self._is_run(step, context):
                continue
            file = self.home / "output.txt"
            file.write_text("")
            done = self._step(step, context, {"GITHUB_OUTPUT": str(file), "GITHUB_STEP_SUMMARY": str(summary)})
            status, output = done.returncode, output + done.stdout
            of_step = dict(line.split("=", 1) for line in file.read_text().splitlines())
            outputs |= of_step
            context |= {f"steps.{step.get('id')}.outputs.{name}": value for name, value in of_step.items()}
            if status:
                break
        return JobResult(status, output, summary.read_text(), outputs)

    def _is_run(self, step: Mapping[str, Any], context: Mapping[str, str]) -> bool:
        condition = step.get("if")
        if condition is None:
            return True
        known = re.fullmatch(r"([\w.-]+) == '(\w+)'", condition)
        assert known, condition
        return context[known[1]] == known[2]

    def _resolved(self, text: str, context: Mapping[str, str]) -> str:
        return _EXPRESSION.sub(lambda found: context.get(found[1], ""), text)

    def _step(
        self, step: Mapping[str, Any], context: Mapping[str, str], files: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        script = self.home / "step.sh"
        script.write_text(step["run"])
        env = {
            **clean_environment(),
            "GITHUB_API_URL": self.host.url,
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_REF": "refs/pull/7/merge" if self.event == "pull_request" else "refs/heads/main",
            "GITHUB_BASE_REF": "main" if self.event == "pull_request" else "",
            "RUNNER_TEMP": str(self.home),
            **files,
            **{name: self._resolved(text, context) for name, text in step.get("env", {}).items()},
        }
        return run_bash(["--noprofile", "--norc", "-eo", "pipefail", str(script)], self.workspace, env)


@dataclass(frozen=True, slots=True)
class GitLabJob:
    """The job of the template in a pipeline of a merge request, which started at `base`."""

    source: Path
    workspace: Path
    host: CommentHost
    base: str
    variables: Mapping[str, str] = field(default_factory=dict)
    token: str = TOKEN

    def run(self) -> JobResult:
        """Run the script, with `before_script` before it in the same shell."""
        job = yaml.safe_load(GITLAB.read_text())["policy-review"]
        env = {
            **clean_environment(),
            "CI_API_V4_URL": f"{self.host.url}/api/v4",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_MERGE_REQUEST_PROJECT_ID": "3",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": self.base,
            "CI_COMMIT_SHA": git(self.workspace, "rev-parse", "HEAD"),
            "POLICY_REVIEW_TOKEN": self.token,
            **{name: str(value) for name, value in job["variables"].items()},
            "POLICY_REVIEW_SOURCE": str(self.source),
            "POLICY_REVIEW_REF": "main",
            **self.variables,
        }
        script = "\n".join(["set -eo pipefail", *job["before_script"], *job["script"]])
        done = run_bash(["--noprofile", "--norc", "-c", script], self.workspace, env)
        return JobResult(done.returncode, done.stdout)


def clean_environment() -> dict[str, str]:
    """The environment without settings, variables of a platform, and the program."""
    path = os.pathsep.join(
        each for each in os.environ["PATH"].split(os.pathsep) if Path(each).resolve() != AUTHZ.parent.resolve()
    )
    names = ("AUTHZ_", "GITHUB_", "CI_", "POLICY_REVIEW_", "GIT_")
    return {name: value for name, value in os.environ.items() if not name.startswith(names)} | {"PATH": path}


def run_bash(words: list[str], directory: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run bash; errors are in its output."""
    return subprocess.run(
        ["bash", *words],
        cwd=directory,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
