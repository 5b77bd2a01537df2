"""`authz policy review`: the comment, the reports and the status for changes of a policy in git."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.command import command
from tests.support.ci_jobs import commit, git
from tests.support.policy_changes import (
    CHANGES,
    ENV,
    OPEN,
    Change,
    add_warning,
    break_file,
    delete,
    edit,
    fail_case,
    narrow,
    remove_cases,
    repository,
    review,
    widen,
)

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return repository(tmp_path / "shop")


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.make.__name__)
def test_a_change_is_reviewed(root: Path, change: Change) -> None:
    change.make(root)
    commit(root)
    done = review(root, "--output", "out")
    assert done.returncode == change.status, done.stdout + done.stderr
    comment = (root / "out" / "comment.md").read_text()
    for each in change.shown:
        assert each in comment
    assert comment.partition("\n\n")[2] == done.stdout
    assert comment.startswith("<!-- authz-policy-review ")
    base, head = git(root, "rev-parse", "origin/main"), git(root, "rev-parse", "HEAD")
    assert comment.rstrip().endswith(f"Reviewed `{head[:10]}` against `{base[:10]}`.")


@pytest.mark.parametrize(("change", "status"), [(narrow, 0), (widen, 1), (add_warning, 1)])
def test_every_condition_can_fail_a_review(root: Path, change: Callable[[Path], None], status: int) -> None:
    change(root)
    commit(root)
    assert review(root, "--fail-on", "faults, warnings,widening").returncode == status


def test_what_opens_comes_first_and_what_closes_next(root: Path) -> None:
    widen(root)
    edit(root, "orders.csv", "p, orders:write,", "p, orders:write auth:jwt,")
    edit(root, "tests/orders.yaml", "# end", "  - {name: Wrong, as: anyone, deny: GET orders:/v1/orders}\n# end")
    commit(root)
    text = review(root).stdout
    order = [
        "**Access widens**",
        "What opens",
        "What closes",
        "Cases that fail",
        "Changed files",
        "Each gain",
        "Each loss",
    ]
    assert sorted(order, key=text.index) == order
    assert "now  policies/orders.csv:" in text


def test_the_reports_are_those_of_the_commands(root: Path) -> None:
    add_warning(root)
    fail_case(root)
    commit(root)
    review(root, "--output", "out/reports")
    out = root / "out" / "reports"
    assert sorted(file.name for file in out.iterdir()) == [
        "cases.xml",
        "check.sarif",
        "code-quality.json",
        "comment.md",
    ]
    checked = command("policy", "check", "policies", "--format", "sarif", cwd=root, env=ENV)
    assert json.loads((out / "check.sarif").read_text()) == json.loads(checked.stdout)
    command("policy", "test", "policies", "--junit", "junit.xml", cwd=root, env=ENV)
    assert (out / "cases.xml").read_text() == (root / "junit.xml").read_text()
    quality = json.loads((out / "code-quality.json").read_text())
    (shadowed,) = [entry for entry in quality if entry["check_name"] == "shadowed-row"]
    assert shadowed["location"]["path"] == "policies/orders.csv"
    assert shadowed["severity"] == "minor"
    assert len({entry["fingerprint"] for entry in quality}) == len(quality)
    # The same finding on another line is the same for the host.
    edit(root, "orders.csv", "# needs", "# One more line.\n# needs")
    review(root, "--output", "out/reports")
    (again,) = [
        entry for entry in json.loads((out / "code-quality.json").read_text()) if entry["check_name"] == "shadowed-row"
    ]
    assert again["fingerprint"] == shadowed["fingerprint"]
    assert again["location"]["lines"]["begin"] == shadowed["location"]["lines"]["begin"] + 1


@pytest.mark.parametrize("change", [break_file, delete, remove_cases])
def test_without_a_run_of_cases_the_junit_report_fails(root: Path, change: Callable[[Path], None]) -> None:
    change(root)
    commit(root)
    review(root, "--output", "out")
    suites = ET.parse(root / "out" / "cases.xml").getroot()
    assert (suites.get("tests"), suites.get("failures")) == ("1", "1")


def test_a_directory_that_was_moved_is_compared_with_where_it_was(root: Path) -> None:
    (root / "access").mkdir()
    (root / "policies").rename(root / "access" / "rules")
    commit(root)
    moved = review(root, "--dir", "access/rules", "--fail-on", "faults,cases,widening")
    assert moved.returncode == 0, moved.stdout
    assert "**No verdict changes.**" in moved.stdout
    assert "where the directory is `policies`." in moved.stdout
    rows = root / "access" / "rules" / "orders.csv"
    rows.write_text(rows.read_text().replace("# end", f"{OPEN}\n# end"))
    commit(root)
    widened = review(root, "--dir", "access/rules", "--fail-on", "widening")
    assert widened.returncode == 1
    assert "**Access widens**" in widened.stdout


def test_a_base_without_policies_counts_as_wider(root: Path) -> None:
    shutil.copytree(root / "policies", root / "more")
    commit(root)
    new = review(root, "--dir", "more")
    assert new.returncode == 0
    assert review(root, "--dir", "more", "--fail-on", "none").returncode == 0
    assert "**Not compared**: The base has no policy in this directory, so all access in it is new." in new.stdout
    assert review(root, "--dir", "more", "--fail-on", "widening").returncode == 1


def test_one_file_that_was_moved_does_not_make_its_directory_the_base(root: Path) -> None:
    (root / "fixtures").mkdir()
    (root / "fixtures" / "more.csv").write_text("p, orders:read, orders:/v1/orders, GET, allow\n# end\n")
    git(root, "update-ref", "refs/remotes/origin/main", commit(root))
    shutil.copytree(root / "policies", root / "live")
    (root / "fixtures" / "more.csv").rename(root / "live" / "more.csv")
    commit(root)
    assert "The base has no policy in this directory" in review(root, "--dir", "live").stdout


def test_a_base_with_faults_counts_as_wider(root: Path) -> None:
    break_file(root)
    git(root, "update-ref", "refs/remotes/origin/main", commit(root))
    edit(root, "orders.csv", "alow", "allow")
    commit(root)
    done = review(root)
    assert (done.returncode, "The policy of the base has 1 fault, so nothing" in done.stdout) == (0, True)
    assert review(root, "--fail-on", "widening").returncode == 1


def test_the_base_is_where_the_branches_separated(root: Path) -> None:
    """What was merged into the target meanwhile is not a part of the change."""
    start = git(root, "rev-parse", "HEAD")
    narrow(root)
    commit(root)
    git(root, "checkout", "--quiet", "--detach", start)
    widen(root)
    target = commit(root)
    git(root, "update-ref", "refs/remotes/origin/main", target)
    git(root, "checkout", "--quiet", "change")
    apart = review(root).stdout
    assert "0 gains, 2 losses" in apart
    assert f"against `{start[:10]}`" in apart
    # As platforms check a request out: merged into its target.
    git(root, "merge", "--quiet", "--strategy-option", "ours", "--no-edit", target)
    merged = review(root).stdout
    assert f"against `{target[:10]}`" in merged
    assert "0 gains, " in merged


def test_nothing_of_the_repository_is_run(root: Path) -> None:
    for name in ("post-checkout", "post-index-change"):
        hook = root / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{root}/ran'\n")
        hook.chmod(0o755)
    (root / ".gitattributes").write_text("*.csv filter=evil export-ignore\n")
    git(root, "update-ref", "refs/remotes/origin/main", commit(root))
    (root / "ran").unlink()  # by the commit
    before = sorted(path for path in (root / ".git").rglob("*") if "objects" not in path.parts)
    assert "**No verdict changes.**" in review(root).stdout
    assert not (root / "ran").exists()
    assert sorted(path for path in (root / ".git").rglob("*") if "objects" not in path.parts) == before


def test_attributes_of_the_change_do_not_alter_the_base(root: Path) -> None:
    widen(root)
    (root / ".gitattributes").write_text("*.csv working-tree-encoding=UTF-16LE-BOM ident\n")
    git(root, "add", ".gitattributes")  # alone, since git would refuse the rows
    done = review(root)
    assert "**Access widens**" in done.stdout, done.stdout + done.stderr


def test_reports_do_not_follow_links_of_the_repository(root: Path) -> None:
    (root / "program").write_text("#!/bin/sh\n")
    (root / "out").mkdir()
    for name in ("comment.md", "check.sarif", "cases.xml", "code-quality.json"):
        (root / "out" / name).symlink_to("../program" if name != "cases.xml" else "../new")
    commit(root)
    assert review(root, "--output", "out").returncode == 0
    assert (root / "program").read_text() == "#!/bin/sh\n"
    assert not (root / "new").exists()
    assert not any(path.is_symlink() for path in (root / "out").iterdir())


def test_a_link_that_leads_out_of_the_repository_is_not_followed(root: Path, tmp_path: Path) -> None:
    shutil.move(root / "policies", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "orders.csv").write_text("p, of another project\n# end\n")
    (root / "policies").symlink_to("../elsewhere")
    commit(root)
    done = review(root, "--output", "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is outside of the repository" in done.stderr
    assert "of another project" not in done.stderr
    assert not (root / "out").exists()


def test_links_in_the_directory_show_neither_lines_nor_names_of_other_files(root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret-name.yaml").write_text("secret line\n")
    (root / "policies" / "extra.csv").symlink_to(tmp_path / "elsewhere" / "secret-name.yaml")
    (root / "policies" / "upstreams").mkdir(exist_ok=True)
    for folder in ("entities", "upstreams/parts"):
        (root / "policies" / folder).symlink_to(tmp_path / "elsewhere")
    commit(root)
    done = review(root, "--output", "out")
    assert done.returncode == 1
    assert done.stdout.count("it is a link that leads out of the directory") == 3
    for text in (done.stdout, done.stderr, *(path.read_text() for path in (root / "out").iterdir())):
        assert "secret" not in text


def test_settings_in_a_file_of_the_repository_are_refused(root: Path) -> None:
    """AUTHZ_ROUTES would import a module that the change has."""
    (root / ".env").write_text("AUTHZ_ROUTES=evil:ROUTES\n")
    (root / "evil.py").write_text("open('ran', 'w').close()\n")
    commit(root)
    done = review(root)
    assert (done.returncode, (root / "ran").exists()) == (2, False)
    assert "`.env` belongs to the repository and has settings" in done.stderr
    git(root, "rm", "--quiet", "--cached", ".env")
    (root / ".env").write_text("AUTHZ_POLICY_DIR=policies\n")
    assert review(root).returncode == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere",), "there is no commit `nowhere` in this clone: fetch it"),
        (("--", "--output=x"), "is not the name of a branch or commit"),
        (("",), "is not the name of a branch or commit"),
        (("origin/main", "--dir", "missing"), "exists neither now nor in"),
        (("origin/main", "--dir", ".."), "is outside of the repository"),
        (("origin/main", "--dir", "policies/model.conf"), "is a file or a link in"),
        (("--dir", "missing"), "does not exist"),
        (("origin/main", "--fail-on", "fault"), "--fail-on is a list of"),
        (("origin/main", "--fail-on", ","), "--fail-on is a list of"),
        (("--fail-on", "widening"), "requires BASE"),
        (("origin/main", "--commit", "main"), "--commit is the id of a commit"),
    ],
)
def test_what_cannot_be_reviewed_is_said(root: Path, words: tuple[str, ...], said: str) -> None:
    done = command("policy", "review", *words, cwd=root, env=ENV)
    assert done.returncode == 2, done
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_an_unknown_base_still_leaves_a_comment(root: Path) -> None:
    done = review(root, "--output", "out", base="gone")
    assert done.returncode == 2
    assert review(root, "--fail-on", "none", base="gone").returncode == 2
    comment = (root / "out" / "comment.md").read_text()
    assert "**Not compared**: ``there is no commit `gone` in this clone" in comment
    assert "cases passed." in comment


def test_a_clone_without_the_common_commit_is_refused(root: Path, tmp_path: Path) -> None:
    narrow(root)
    commit(root)
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--branch", "change", f"file://{root}", "shallow")
    git(tmp_path / "shallow", "fetch", "--quiet", "--depth", "1", "origin", "refs/remotes/origin/main:refs/base")
    done = review(tmp_path / "shallow", base="refs/base")
    assert done.returncode == 2
    assert "have no commit in common in this clone: clone with the full history" in done.stderr


def test_outside_of_a_repository_it_says_so(tmp_path: Path) -> None:
    done = command("policy", "review", "main", cwd=tmp_path, env=ENV)
    assert done.returncode == 2
    assert "not a git repository" in done.stderr


def test_without_a_base_nothing_is_compared(root: Path) -> None:
    done = command("policy", "review", cwd=root, env=ENV)
    assert done.returncode == 0
    assert "compared" not in done.stdout.lower()
    assert "cases passed." in done.stdout
