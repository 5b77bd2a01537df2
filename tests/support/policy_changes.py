"""Repositories with a small policy of a service, and changes of it with what a review must say."""

from __future__ import annotations

import atexit
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import mkdtemp

from tests.cli.command import command
from tests.support.ci_jobs import commit, git, new_repository

ENV = {"PATH": os.environ["PATH"], "HOME": os.devnull, "AUTHZ_SAMPLE_API": "false"}
ROWS = "p, orders:read, orders:/v1/orders/**, GET, allow\np, orders:write, orders:/v1/orders/**, POST|DELETE, allow\n"
OPEN = "p, anyone, orders:/v1/orders/**, GET, allow"
CLOSED = "p, env:test, orders:/v1/orders/**, GET, deny"
_DOCUMENT = """\
openapi: 3.1.0
info: {title: Orders, version: "1"}
servers: [{url: https://orders.example.com/v1}]
paths:
  /orders: {get: {responses: {}}, post: {responses: {}}}
  /orders/{id}: {get: {responses: {}}, delete: {responses: {}}}
"""


@cache
def _prepared() -> Path:
    """A repository whose only commit has the policy of `authz init`."""
    root = new_repository(Path(mkdtemp(prefix="authz-test-review-")))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / "orders.yaml").write_text(_DOCUMENT)
    made = command("init", "policies", "--openapi", "orders.yaml", "--name", "orders", cwd=root, env=ENV)
    assert made.returncode == 0, made.stderr
    (root / "policies.env").unlink()
    assert (root / "policies" / "orders.csv").read_text().endswith(f"{ROWS}# end\n")
    commit(root)
    return root


def repository(directory: Path, branch: str = "change") -> Path:
    """A repository whose base, `origin/main`, has a sound policy in `policies`, with a branch for the change."""
    shutil.copytree(_prepared(), directory, symlinks=True)
    git(directory, "update-ref", "refs/remotes/origin/main", "HEAD")
    git(directory, "checkout", "--quiet", "-b", branch)
    return directory


def edit(root: Path, file: str, old: str, new: str) -> None:
    """Replace a text of a policy file."""
    path = root / "policies" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def add_row(root: Path, row: str, file: str = "orders.csv") -> None:
    """Add a row at the end of a file."""
    edit(root, file, "# end", f"{row}\n# end")


def review(root: Path, *words: str, base: str = "origin/main") -> CompletedProcess[str]:
    """Review the policy of a repository."""
    return command("policy", "review", base, *words, cwd=root, env=ENV)


def widen(root: Path) -> None:
    add_row(root, OPEN)


def narrow(root: Path) -> None:
    add_row(root, CLOSED)


def fail_case(root: Path) -> None:
    edit(root, "tests/orders.yaml", "# end", "  - {name: Wrong, as: anyone, allow: GET orders:/v1/orders}\n# end")


def remove_cases(root: Path) -> None:
    shutil.rmtree(root / "policies" / "tests")


def break_file(root: Path) -> None:
    edit(root, "orders.csv", "GET, allow", "GET, alow")


def add_warning(root: Path) -> None:
    add_row(root, "p, orders:read auth:jwt, orders:/v1/orders, GET, allow")


def delete(root: Path) -> None:
    shutil.rmtree(root / "policies")


def comment_only(root: Path) -> None:
    edit(root, "orders.csv", "# needs", "# Orders.\n# needs")


def nothing(root: Path) -> None:
    pass


def move_rows(root: Path) -> None:
    (root / "policies" / "roles.csv").rename(root / "policies" / "members.csv")


def add_hostile_names(root: Path) -> None:
    for name in ("`@octocat`.csv", "<img src=x>.yaml", "a\n::error::b.csv", "``` /approve", "x/../y"):
        path = root / "policies" / name.replace("/", "_")
        path.write_text("@everyone </details> ```\n")


@dataclass(frozen=True, slots=True)
class Change:
    """A change, the status of its review, and what the comment has."""

    make: Callable[[Path], None]
    status: int
    shown: tuple[str, ...]


CHANGES = (
    Change(nothing, 0, ("**No verdict changes.**", "cases passed.")),
    Change(comment_only, 0, ("**No verdict changes.**", "orders.csv  changed: only comments, order or formatting")),
    Change(move_rows, 0, ("**No verdict changes.**", "roles.csv  deleted:", "members.csv  new:")),
    Change(narrow, 0, ("**Access does not widen**: 0 gains, 2 losses.", "### What closes", "env:test")),
    Change(widen, 1, ("**Access widens**: ", "### What opens\n\n```text\neveryone gains", OPEN)),
    Change(fail_case, 1, ("**1 of ", "### Cases that fail", "Wrong", "expected allow, got deny")),
    Change(remove_cases, 1, ("**There are no cases**, so nothing is proved.", "tests/orders.yaml  deleted:")),
    Change(break_file, 1, ("**1 fault**: this policy would be refused", "error[effect]", "did you mean `allow`?")),
    Change(add_warning, 0, ("<details><summary>1 warning</summary>", "warning[shadowed-row]")),
    Change(delete, 1, ("**1 fault**", "error[no-directory]: the policy directory does not exist")),
    Change(add_hostile_names, 1, ("**5 faults**", "error[stray-file]", "a\\n::error::b.csv")),
)
