"""The jobs for CI: their steps are run in a repository with a change, against the API of the platform."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator

from tests.cli.command import command
from tests.support.ci_jobs import (
    ACTION,
    GITLAB,
    GitHubJob,
    GitLabJob,
    JobResult,
    checkout_of_authz,
    commit,
    git,
    new_repository,
)
from tests.support.comment_hosts import BOT, CommentHost
from tests.support.policy_changes import ENV, OPEN, add_row, edit, repository, review
from tests.support.server import AUTHZ, ROOT
from tests.support.walkthrough import Ids, Step, steps

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

PAGE = ROOT / "scripts" / "ci" / "README.md"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the platforms check out of this repository; a repository itself."""
    directory = new_repository(tmp_path_factory.mktemp("authz"))
    checkout_of_authz(directory)
    commit(directory)
    return directory


@pytest.fixture
def host() -> Iterator[CommentHost]:
    with CommentHost() as host:
        yield host


def test_the_action_keeps_one_comment(checkout: Path, tmp_path: Path, host: CommentHost) -> None:
    root = repository(tmp_path / "shop", "x;touch${IFS}ran;@octocat")

    def push(**inputs: str) -> JobResult:
        commit(root)
        return GitHubJob(checkout, root, tmp_path / "runner", host, {"sample-api": "false", **inputs}).run()

    clean = push()
    assert clean.status == 0, clean.output
    assert "**No verdict changes.**" in clean.summary
    assert host.bodies == [clean.summary]
    # A change that opens something, with texts that would be commands of the runner or mentions elsewhere.
    add_row(root, OPEN)
    edit(
        root,
        "tests/orders.yaml",
        "# end",
        "  - {name: '::error::x @octocat', as: anyone, deny: GET orders:/v1/orders}\n# end",
    )
    wider = push(**{"fail-on": "widening"})
    assert wider.status == 1, wider.output
    assert wider.runner_commands == []
    assert "**Access widens**" in wider.summary
    assert host.bodies == [wider.summary]
    assert OPEN in host.bodies[0]
    assert Path(wider.outputs["sarif"]).parent == Path(wider.outputs["junit"]).parent
    assert json.loads(Path(wider.outputs["sarif"]).read_text())["version"] == "2.1.0"
    assert not (root / "ran").exists()


def test_the_action_refuses_an_event_with_secrets(checkout: Path, tmp_path: Path, host: CommentHost) -> None:
    root = repository(tmp_path / "shop")
    refused = GitHubJob(checkout, root, tmp_path / "runner", host, event="pull_request_target").run()
    assert (refused.status, refused.summary) == (2, "")


def test_the_gitlab_job_keeps_one_note(checkout: Path, tmp_path: Path, host: CommentHost) -> None:
    root = repository(tmp_path / "shop")
    base = git(root, "rev-parse", "HEAD")
    review(root, "--platform", "gitlab", "--output", "before")
    host.add((root / "before" / "comment.md").read_text(), BOT)  # of an earlier push
    shutil.rmtree(root / "policies")
    commit(root)
    deleted = GitLabJob(checkout, root, host, base, {"AUTHZ_SAMPLE_API": "false"}).run()
    assert deleted.status == 1, deleted.output
    assert len(host.comments) == 1
    assert "the policy directory does not exist" in host.bodies[0]
    assert host.bodies == [(root / "policy-review" / "comment.md").read_text()]
    reports = yaml.safe_load(GITLAB.read_text())["policy-review"]["artifacts"]["reports"]
    assert all((root / file).is_file() for file in reports.values())


def test_the_gitlab_job_sends_no_review_that_the_merge_request_has(
    checkout: Path, tmp_path: Path, host: CommentHost
) -> None:
    root = repository(tmp_path / "shop")
    base = git(root, "rev-parse", "HEAD")
    review(root, "--platform", "gitlab", "--output", "policy-review")
    (root / ".env").write_text("AUTHZ_ROUTES=evil:ROUTES\n")  # which ends the review early
    commit(root)
    refused = GitLabJob(checkout, root, host, base, {"AUTHZ_SAMPLE_API": "false"}).run()
    assert (refused.status, host.bodies) == (2, []), refused.output


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


def test_the_files_are_valid_for_the_platforms() -> None:
    workflow, included = blocks("yaml")
    schemas = resources.files("check_jsonschema.builtin_schemas.vendor")
    for name, text in (
        ("github-actions", ACTION.read_text()),
        ("github-workflows", workflow),
        ("gitlab-ci", GITLAB.read_text()),
        ("gitlab-ci", included),
    ):
        # YAML 1.2, as the platforms read it: `on` is a text.
        document = yaml.safe_load(text.replace("\non:", "\n'on':"))
        schema = json.loads((schemas / f"{name}.json").read_text())
        assert [error.message for error in Draft7Validator(schema).iter_errors(document)] == [], name


def test_a_security_linter_finds_nothing(tmp_path: Path) -> None:
    files = {
        ".github/workflows/policy.yml": blocks("yaml")[0].replace("@COMMIT", f"@{'a' * 40}"),
        ".github/actions/policy/action.yml": ACTION.read_text(),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(text)
    linter = [str(AUTHZ.with_name("zizmor")), "--offline", "--persona", "auditor", "--format", "plain", str(tmp_path)]
    done = subprocess.run(linter, capture_output=True, text=True, check=False)
    assert (done.returncode, "No findings to report" in done.stdout) == (0, True), done.stdout + done.stderr


def test_no_expression_is_part_of_a_script() -> None:
    """What they stand for could be chosen by the author of a pull request."""
    action = yaml.safe_load(ACTION.read_text())
    for step in action["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert "uses" not in step
    secret = [step["name"] for step in action["runs"]["steps"] if "inputs.token" in str(step)]
    assert secret == ["Comment"]
    for found in re.findall(r"uses: (\S+)", PAGE.read_text()):
        assert re.search(r"@([0-9a-f]{40}|COMMIT)$", found), found


def test_the_page_names_every_input_output_variable_and_condition() -> None:
    page, action = PAGE.read_text(), yaml.safe_load(ACTION.read_text())
    for name, about in action["inputs"].items():
        (row,) = [line for line in page.splitlines() if re.match(rf"\| [^|]*`{name}`", line)]
        default = about["default"]
        assert not default or "${{" in default or name in ("token", "comment-author") or f"| `{default}` |" in row
    assert all(f"`{name}`" in page for name in action["outputs"])
    variables = yaml.safe_load(GITLAB.read_text())["policy-review"]["variables"]
    assert all(name in page for name in [*variables, "POLICY_REVIEW_TOKEN"] if name.startswith("POLICY"))
    conditions = re.findall(r"^\| `(\w+)` \| .*", page.partition("## What fails")[2], flags=re.MULTILINE)
    assert conditions == ["faults", "cases", "warnings", "widening"]


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    root = new_repository(tmp_path / "shop")
    shutil.copytree(ROOT / "policies", root / "policies")
    git(root, "update-ref", "refs/remotes/origin/main", commit(root))
    edit(root, "catalog.csv", "p, catalog:read, /api/v1/venues/**", "p, anyone, /api/v1/venues/**")
    commit(root)
    first, second, listing = steps(PAGE)
    assert _printed(first, root)
    assert _printed(second, root)
    assert sorted(file.name for file in (root / "review").iterdir()) == listing.shown.split("\n")


def _printed(step: Step, root: Path) -> bool:
    done = command(*step.command.split()[1:], cwd=root, env={"PATH": ENV["PATH"]})
    return Ids().matches(done.stdout.rstrip("\n"), step.shown)
