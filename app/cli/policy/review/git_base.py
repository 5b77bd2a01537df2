"""The policy directory at the commit from which a change started, read from git.

Nothing of the repository is run: no hook, and no filter but those of the configuration of this clone. The files are
written to a temporary directory, so that they are read by the same rules as those of the change, but with the
attributes that they had: the change cannot alter with what it is compared.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from app.cli.terminal import printable
from app.policy.language.file_names import REQUIRED

_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
_KINDS = {"blob": "a file or a link", "commit": "a submodule"}


class CannotReadBase(Exception):
    """The base cannot be read; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class GitBase:
    """The commit `commit`, where the change started, in the repository at `root`."""

    root: Path
    commit: str

    def has(self, name: str) -> bool:
        """Whether the commit has a directory of this name, relative to the root.

        Raises CannotReadBase if it has something else of this name.
        """
        if name == ".":
            return True
        listed = git("ls-tree", "-z", self.commit, "--", name, cwd=self.root).decode("utf-8", "surrogateescape")
        kind = listed.split(" ", 2)[1] if listed else None
        if kind in _KINDS:
            raise CannotReadBase(f"`{printable(name)}` is {_KINDS[kind]} in {self.commit[:10]}, not a directory")
        return kind is not None

    @contextmanager
    def directory(self, name: str) -> Iterator[Path]:
        """A copy of a directory that the commit has."""
        with TemporaryDirectory(prefix="authz-base-") as temporary:
            copy = Path(temporary, "files")
            copy.mkdir()
            repository = git("rev-parse", "--absolute-git-dir", cwd=self.root).removesuffix(b"\n")
            # A working directory of its own, since git reads .gitattributes there.
            own = {"GIT_DIR": os.fsdecode(repository), "GIT_WORK_TREE": str(copy)}
            own["GIT_INDEX_FILE"] = str(Path(temporary, "index"))
            git("read-tree", self.commit, cwd=copy, env=own)
            names = git("ls-files", "-z", "--", name, cwd=copy, env=own)
            git("checkout-index", "-z", "--stdin", cwd=copy, env=own, given=names)
            yield copy / name

    def moved_from(self, name: str) -> str | None:
        """The directory from which the files that every policy has were moved to this one, if there is one."""
        words = ("diff-tree", "-r", "-z", "-M", "--diff-filter=R", "--name-status", self.commit, "HEAD")
        parts = git(*words, cwd=self.root).decode("utf-8", "surrogateescape").split("\0")
        found: set[str] = set()
        for old, new in zip(parts[1::3], parts[2::3], strict=False):
            place, before = PurePosixPath(new), PurePosixPath(old)
            if place.parent == PurePosixPath(name) and place.name in REQUIRED and before.name == place.name:
                found.add(str(before.parent))
        return found.pop() if len(found) == 1 else None


def find_base(name: str) -> GitBase:
    """The commit at which HEAD and `name`, a branch or commit, separated. Raises CannotReadBase."""
    if not name or name.startswith("-"):
        raise CannotReadBase(f"`{printable(name)}` is not the name of a branch or commit")
    root = repository_root()
    try:
        tip = git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", cwd=root).decode().strip()
    except CannotReadBase:
        raise CannotReadBase(
            f"there is no commit `{printable(name)}` in this clone: fetch it, or clone with the full history"
        ) from None
    try:
        commit = git("merge-base", tip, "HEAD", cwd=root).decode().strip()
    except CannotReadBase:
        raise CannotReadBase(
            f"HEAD and `{printable(name)}` have no commit in common in this clone: clone with the full history"
        ) from None
    return GitBase(root, commit)


def repository_root() -> Path:
    """The working directory of the repository. Raises CannotReadBase."""
    return Path(os.fsdecode(git("rev-parse", "--show-toplevel").removesuffix(b"\n")))


def head_commit() -> str:
    """The id of HEAD. Raises CannotReadBase."""
    return git("rev-parse", "--verify", "HEAD").decode().strip()


def is_tracked(name: str) -> bool:
    """Whether a file of the working directory belongs to the repository. Raises CannotReadBase."""
    return bool(git("ls-files", "-z", "--", name))


def git(*words: str, cwd: Path | None = None, env: dict[str, str] | None = None, given: bytes = b"") -> bytes:
    """The output of a git command. Raises CannotReadBase with the message of git."""
    plumbing = {"GIT_LITERAL_PATHSPECS": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    command: Sequence[str] = ("git", *_SAFE, *words)
    try:
        done = subprocess.run(  # noqa: S603  # no shell, and no word that begins with a dash comes from a user
            command,
            cwd=cwd,
            env={**os.environ, **plumbing, **(env or {})},
            input=given,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        raise CannotReadBase("git is not installed") from None
    if done.returncode:
        message = done.stderr.decode("utf-8", "replace").strip().split("\n", 1)[0]
        raise CannotReadBase(f"git {words[0]}: {printable(message)[:300] or f'status {done.returncode}'}")
    return done.stdout
