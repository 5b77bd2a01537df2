"""Files of a policy directory that are not text files are refused, without blocking."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from app.policy.engine.live import LivePolicy
from app.policy.language.directory import file_names, raw_files
from app.policy.language.source import MAX_BYTES, MAX_FILES
from tests.policy.conftest import Said
from tests.policy.refusing import refused
from tests.policy.shipped import few_cases, routes, shipped_files, write


@pytest.fixture
def live(tmp_path: Path) -> LivePolicy:
    return LivePolicy(write(tmp_path / "policies", few_cases()), routes())


def _loop(directory: Path) -> str:
    (directory / "extra.csv").symlink_to("extra.csv")
    return "extra.csv"


def _two_links_in_a_loop(directory: Path) -> str:
    (directory / "extra.csv").symlink_to("other.csv")
    (directory / "other.csv").symlink_to("extra.csv")
    return "extra.csv"


def _dangling(directory: Path) -> str:
    (directory / "extra.csv").symlink_to("nowhere.csv")
    return "extra.csv"


def _fifo(directory: Path) -> str:
    os.mkfifo(directory / "extra.csv")
    return "extra.csv"


def _fifo_for_the_model(directory: Path) -> str:
    (directory / "model.conf").unlink()
    os.mkfifo(directory / "model.conf")
    return "model.conf"


def _socket(directory: Path) -> str:
    # The address of a socket must be short, unlike the path of a test.
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(directory)
        try:
            listener.bind("extra.csv")
        finally:
            os.chdir(here)
    return "extra.csv"


def _device(directory: Path) -> str:
    (directory / "extra.csv").symlink_to("/dev/zero")
    return "extra.csv"


def _link_out(directory: Path) -> str:
    (directory.parent / "secret").write_text("not for the eyes of who writes policies")
    (directory / "extra.csv").symlink_to("../secret")
    return "extra.csv"


def _folder_for_a_file(directory: Path) -> str:
    (directory / "extra.csv").mkdir()
    return "extra.csv"


def _folder(directory: Path) -> str:
    (directory / "more").mkdir()
    return "more"


def _folder_in_tests(directory: Path) -> str:
    (directory / "tests" / "more").mkdir(parents=True)
    return "tests/more"


def _file_for_tests(directory: Path) -> str:
    shutil.rmtree(directory / "tests", ignore_errors=True)
    (directory / "tests").write_text("# end\n")
    return "tests"


def _tests_elsewhere(directory: Path) -> str:
    shutil.rmtree(directory / "tests", ignore_errors=True)
    (directory.parent / "elsewhere").mkdir()
    (directory.parent / "elsewhere" / "extra.yaml").write_text("# end\n")
    (directory / "tests").symlink_to("../elsewhere")
    return "tests"


def _link_into_git(directory: Path) -> str:
    (directory / ".git").mkdir()
    (directory / ".git" / "config").write_text("# end\n")
    (directory / "extra.csv").symlink_to(".git/config")
    return "extra.csv"


def _tests_nowhere(directory: Path) -> str:
    shutil.rmtree(directory / "tests", ignore_errors=True)
    (directory / "tests").symlink_to("nowhere")
    return "tests"


def _huge(directory: Path) -> str:
    with (directory / "extra.csv").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    return "extra.csv"


def _huge_together(directory: Path) -> str:
    for number in range(3):
        with (directory / f"extra{number}.csv").open("wb") as file:
            file.truncate(MAX_BYTES // 3 + 1)
    return "extra2.csv"


def _too_many(directory: Path) -> str:
    for number in range(MAX_FILES + 1):
        (directory / f"extra{number}.csv").write_text("# end\n")
    return "."


def _too_many_strays(directory: Path) -> str:
    for number in range(MAX_FILES + 1):
        (directory / f"extra{number}.txt").touch()
    return "."


def _name_that_is_no_text(directory: Path) -> str:
    Path(os.fsdecode(os.fsencode(directory) + b"/extra\xff.csv")).touch()
    return "extra\\udcff.csv"


def _no_directory(directory: Path) -> str:
    shutil.rmtree(directory)
    return str(directory)


def _file_for_the_directory(directory: Path) -> str:
    shutil.rmtree(directory)
    directory.write_text("# end\n")
    return "."


def _empty_directory(directory: Path) -> str:
    shutil.rmtree(directory)
    directory.mkdir()
    return "model.conf"


TREES: tuple[tuple[str, Callable[[Path], str]], ...] = (
    ("unreadable", _loop),
    ("unreadable", _two_links_in_a_loop),
    ("unreadable", _dangling),
    ("unreadable", _fifo),
    ("unreadable", _fifo_for_the_model),
    ("unreadable", _socket),
    ("unreadable", _device),
    ("unreadable", _link_out),
    ("unreadable", _link_into_git),
    ("unreadable", _folder_for_a_file),
    ("stray-file", _folder),
    ("stray-file", _folder_in_tests),
    ("unreadable", _file_for_tests),
    ("unreadable", _tests_elsewhere),
    ("unreadable", _tests_nowhere),
    ("unreadable", _huge),
    ("too-large", _huge_together),
    ("too-many-files", _too_many),
    ("too-many-files", _too_many_strays),
    ("stray-file", _name_that_is_no_text),
    ("no-directory", _no_directory),
    ("unreadable", _file_for_the_directory),
    ("missing-file", _empty_directory),
)


@pytest.mark.anyio
@pytest.mark.parametrize(("code", "make"), TREES, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_file_that_is_not_text_is_refused(
    code: str, make: Callable[[Path], str], live: LivePolicy, said: Said
) -> None:
    file = make(live.directory)

    faults = await refused(live)

    assert (code, file) in [(fault.code, fault.file) for fault in faults], faults
    assert not any("not for the eyes" in fault.text for fault in faults)
    said(fault for fault in faults if fault.file == file)


@pytest.mark.parametrize("name", ["policies", "linked"])
def test_a_directory_by_a_relative_path_or_a_link_has_its_files(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "policies", shipped_files())
    (tmp_path / "linked").symlink_to("policies")
    monkeypatch.chdir(tmp_path)
    assert file_names(Path(name)) == sorted(shipped_files())
    assert raw_files(Path(name)) == shipped_files()
