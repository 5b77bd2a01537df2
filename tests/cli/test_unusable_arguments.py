"""Paths that the system refuses, and numbers beyond 64 bits: a message that names them, and no traceback."""

from __future__ import annotations

import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.command import command
from tests.support.server import ROOT, prepared_database

POLICIES = str(ROOT / "policies")
PATHS = {
    "long": "a" * 5_000,
    "long part": "x/" + "a" * 300,
    "long text": "b/" * 3_000 + "b",
    "loop": "loop",
    "file": "file/x",
}


def told(tmp_path: Path, words: str, path: str, code: int, **env: str) -> str:
    arguments = [{"PATH": path, "POLICIES": POLICIES}.get(word, word) for word in words.split()]
    env = {"AUTHZ_DATABASE_URL": f"sqlite:///{tmp_path / 'authz.db'}", **env}
    done = command(*arguments, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout) == (code, ""), (words, done)
    return " ".join(done.stderr.replace("│", " ").split())  # without the frame of usage errors


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_that_the_system_refuses_is_named(tmp_path: Path, path: str) -> None:
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    revision = "1234500000000000"
    with closing(sqlite3.connect(tmp_path / "authz.db")) as database:
        database.execute(
            "INSERT INTO policy_revisions (parent_id, revision, kind, author, message, widens, created_at, changes,"
            " files) VALUES (0, ?, 'files', '', '', 0, '2026-11-24 00:00:00', '[]', ?)",
            (revision, zlib.compress(b"{}")),
        )
        database.commit()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    (tmp_path / "x").mkdir()
    (tmp_path / "b").mkdir()
    why = "does not exist" if path == "file/x" else "cannot be read: "
    for words in ("check", "check --fix", "test", "routes", "explain --as x GET /x --dir", "reach --as x --dir"):
        assert why in told(tmp_path, f"policy {words} PATH", path, 2)
    assert f"AUTHZ_POLICY_DIR: the policy directory `{path}` {why}" in told(
        tmp_path, "policy check", path, 2, AUTHZ_POLICY_DIR=path
    )
    for words in ("diff PATH POLICIES", "diff POLICIES PATH", "replay PATH"):
        message = told(tmp_path, f"policy {words}", path, 2)
        assert f"`{path}` {why}" in message
        assert ", and is neither a revision" in message
    assert "Invalid value for 'DIR'" in told(tmp_path, "policy publish PATH -m x", path, 2)
    if path != "loop":  # which exists
        assert "cannot be written" in told(tmp_path, "db backup PATH", path, 1)
        assert "cannot be written" in told(tmp_path, f"policy show {revision} --out PATH", path, 1)
    for words in ("dev --issuer-port 0 --data-dir PATH", "token --data-dir PATH"):
        assert path.partition("/")[0] in told(tmp_path, words, path, 1)
    for words in ("audit", "keys list", "db upgrade", "db vacuum", "db backup b.db"):
        assert told(tmp_path, words, path, 1, AUTHZ_DATABASE_URL=f"sqlite:///{path}").startswith("authz: ")


@pytest.mark.parametrize("words", ["audit --before", "keys list --before", "policy history --before"])
@pytest.mark.parametrize("number", [2**63, 2**64, 10**30])
def test_an_id_beyond_64_bits_is_a_usage_error(tmp_path: Path, words: str, number: int) -> None:
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    assert "Invalid value for '--before'" in told(tmp_path, f"{words} {number}", "", 2)
