"""What `authz lsp` finds in a workspace, and what it reads besides the policy."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from app.cli.lsp.decision_log import read_last_uses
from app.cli.lsp.directories import MAX_DEPTH, policy_directories, policy_directory_of
from tests.cli.command import command

FILES = ("permissions.toml", "model.conf", "x.csv")


def make(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return directory


def test_a_wrong_setting_is_an_error_before_any_message(tmp_path: Path) -> None:
    done = command("lsp", cwd=tmp_path, env={"AUTHZ_NO_SUCH": "1"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "AUTHZ_NO_SUCH" in done.stderr


def test_a_folder_that_is_opened_names_no_module_to_run(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("open('ran', 'w')\nROUTES = []\n")
    (tmp_path / ".env").write_text("authz_routes=evil:ROUTES\n")
    done = command("lsp", cwd=tmp_path, env={})
    assert (done.returncode, done.stdout) == (2, "")
    assert "set AUTHZ_ROUTES in the environment of the editor" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_is_opened_names_no_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        host, port = listening.getsockname()
        (tmp_path / ".env").write_text(f"AUTHZ_DATABASE_URL=postgresql://u@{host}:{port}/x\n")
        monkeypatch.chdir(tmp_path)
        assert read_last_uses() == {}
        with pytest.raises(TimeoutError):
            listening.accept()


def test_policy_directories_are_found_below_a_folder(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a" / "policies", *FILES), make(tmp_path / "b", "permissions.toml", "rows.csv")
    make(first / "inner", *FILES)  # within a policy directory
    make(tmp_path / "node_modules" / "x", *FILES)
    make(tmp_path / ".hidden", *FILES)
    make(tmp_path / "casbin", "model.conf", "policy.csv")
    (tmp_path / "link").symlink_to(tmp_path)
    deep = tmp_path.joinpath(*["deep"] * (MAX_DEPTH + 1))
    make(deep, *FILES)
    assert set(policy_directories(tmp_path)) == {first, second}
    assert list(policy_directories(first)) == [first]
    assert list(policy_directories(tmp_path / "none")) == []


@pytest.mark.parametrize("name", ["x.csv", "new.csv", "permissions.toml", "tests/x.yaml", "upstreams/a/b/c/part.yaml"])
def test_a_file_leads_to_the_directory_of_its_policy(name: str, tmp_path: Path) -> None:
    directory = make(tmp_path / "policies", *FILES)
    assert policy_directory_of(directory / name) == directory


@pytest.mark.parametrize("name", ["notes.txt", "inner/x.csv", "tests/x.csv"])
def test_other_files_lead_nowhere(name: str, tmp_path: Path) -> None:
    assert policy_directory_of(make(tmp_path / "policies", *FILES) / name) is None


def test_without_a_database_no_last_use_is_known_and_none_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "none.db"
    monkeypatch.setenv("AUTHZ_DATABASE_URL", f"sqlite:///{file}")
    assert read_last_uses() == {}
    assert not file.exists()
    file.write_text("not a database")
    assert read_last_uses() == {}
