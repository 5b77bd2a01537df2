"""Notes in a policy directory are read with limits: only small regular files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from app.db.session import Sessions
from app.history.stamp import Stamp, read_stamp, write_stamp
from app.policy.language import write
from app.policy.language.directory import MARKER, STAMP, read
from app.policy.language.fault import PolicyRefused
from tests.history.processes import new_directory, publish, starting_process
from tests.history.test_unwritable import on_sqlite

pytestmark = pytest.mark.anyio


def _link_to_fifo(path: Path) -> None:
    os.mkfifo(path.with_name(".fifo"))
    path.symlink_to(".fifo")


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


ODD: dict[str, Callable[[Path], None]] = {
    "fifo": os.mkfifo,
    "link to a fifo": _link_to_fifo,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "loop": lambda path: path.symlink_to(path.name),
    "broken link": lambda path: path.symlink_to("nowhere"),
    "huge": _huge,
}


@pytest.mark.parametrize("kind", ODD)
def test_a_note_that_is_not_a_small_file_is_replaced(tmp_path: Path, kind: str) -> None:
    ODD[kind](tmp_path / STAMP)
    assert read_stamp(tmp_path) is None
    stamp = Stamp("one", 1, "0" * 16)
    write_stamp(tmp_path, stamp)
    assert read_stamp(tmp_path) == stamp


@pytest.mark.parametrize("odd", ODD)
@on_sqlite
async def test_a_marker_that_is_not_a_small_file_is_refused_and_removed_at_startup(
    sessions: Sessions, tmp_path: Path, odd: str
) -> None:
    directory = new_directory(tmp_path / "policies")
    found = read(directory).revision
    ODD[odd](directory / MARKER)
    assert write.unfinished(directory) is not None
    with pytest.raises(PolicyRefused) as refused:
        read(directory)
    assert MARKER in str(refused.value.faults[0])
    first = await starting_process(sessions, directory, files_win=True)
    await first.follow()
    assert (first.live.active.revision, os.path.lexists(directory / MARKER)) == (found, False)
    os.mkfifo(directory / MARKER)
    newest = await publish(first, "new")
    assert (first.behind, read(directory).revision) == ("", newest)


@pytest.mark.parametrize("name", [".public.csv.new", f".{MARKER}.new"])
@on_sqlite
async def test_a_fifo_in_place_of_a_written_file_does_not_hang(sessions: Sessions, tmp_path: Path, name: str) -> None:
    directory = new_directory(tmp_path / "policies")
    first = await starting_process(sessions, directory, files_win=True)
    await first.follow()
    os.mkfifo(directory / name)
    reader = os.open(directory / name, os.O_RDONLY | os.O_NONBLOCK)
    try:
        await publish(first, "new")
    finally:
        os.close(reader)
    assert "not a regular file" in first.behind
