"""The bounds of a policy in bytes, files, lines and rows, each at and beyond the bound."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from app.policy.engine import expand as expanding
from app.policy.language import directory as reading
from app.policy.language import source as texts
from app.policy.language.directory import read
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.file_names import FOLDERS
from app.policy.language.reason import Reason
from app.policy.language.source import PolicySource, from_bytes
from app.policy.language.when.condition import NO_CONTEXT
from tests.policy.shipped import write
from tests.policy.small import files, snapshot

ROWS = ("p, a:read, /**, GET, allow", "p, b:read, /x, POST, allow")
FILES = files(*ROWS)
TOTAL = sum(map(len, FILES.values()))


def refusal(load: Callable[[], object]) -> tuple[Fault, ...]:
    """The faults of a policy; empty if it is accepted."""
    try:
        load()
    except PolicyRefused as refused:
        return refused.faults
    return ()


@pytest.mark.parametrize("most", [4, 3])
def test_rows_are_bounded_once_they_are_expanded(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(expanding, "MAX_EXPANDED", most)  # three routes have GET, and one has POST
    faults = refusal(lambda: snapshot(*ROWS))
    if most == 4:
        assert faults == ()
        return
    (fault,) = faults
    assert (fault.code, fault.file, fault.line) == ("too-wide", "rows.csv", 2)
    assert "more than 3 rows" in fault.message


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize(
    ("limit", "size", "code"),
    [("MAX_BYTES", TOTAL, "too-large"), ("MAX_FILES", len(FILES), "too-many-files")],
)
def test_the_total_size_of_a_policy_is_bounded(
    monkeypatch: pytest.MonkeyPatch, limit: str, size: int, code: str, over: int
) -> None:
    monkeypatch.setattr(texts, limit, size - over)
    assert [(fault.code, fault.place) for fault in refusal(lambda: from_bytes(FILES))] == [(code, ".")] * over


@pytest.mark.parametrize("over", [0, 1])
def test_each_file_of_a_policy_is_bounded(monkeypatch: pytest.MonkeyPatch, over: int) -> None:
    longest = max(FILES, key=lambda name: len(FILES[name]))
    monkeypatch.setattr(texts, "MAX_FILE_BYTES", len(FILES[longest]) - over)
    source = from_bytes(FILES)
    assert [(fault.code, fault.place) for fault in source.faults] == [("too-large", longest)] * over
    assert (longest in source.files) is not bool(over)


@pytest.mark.parametrize("over", [0, 1])
def test_each_line_of_a_policy_is_bounded(over: int) -> None:
    line = "# " + "x" * (texts.MAX_LINE - 2 + over)
    source = from_bytes(files(line, *ROWS))
    assert [(fault.code, fault.file, fault.line) for fault in source.faults] == [("long-line", "rows.csv", 1)] * over


@pytest.mark.parametrize("over", [0, 1])
def test_the_total_size_of_a_directory_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, over: int) -> None:
    write(tmp_path, FILES)
    monkeypatch.setattr(reading, "MAX_BYTES", TOTAL - over)
    last = max(FILES)
    assert [(fault.code, fault.place) for fault in refusal(lambda: read(tmp_path))] == [("too-large", last)] * over
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MAX_FILES", len(FILES) - over)
    assert [(fault.code, fault.place) for fault in refusal(lambda: read(tmp_path))] == [("too-many-files", ".")] * over


@pytest.mark.parametrize("over", [0, 1])
def test_the_folders_of_a_directory_are_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, over: int) -> None:
    write(tmp_path, FILES)
    for name in ("a", "b/c"):
        (tmp_path / "upstreams" / name).mkdir(parents=True)
    monkeypatch.setattr(reading, "MAX_FOLDERS", len(FOLDERS) + 3 - over)
    assert len(reading.folders(tmp_path)) == len(FOLDERS) + 3 - over
    monkeypatch.setattr(reading, "MAX_FOLDERS", 5 - over)  # the directory, `upstreams` and those in it
    faults = refusal(lambda: read(tmp_path))
    assert [(each.code, each.line, each.column, each.message) for each in faults] == [
        ("too-many-files", 0, 0, "more than 4 folders")
    ] * over


def test_reading_without_descriptors_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, FILES)

    def none(*_: object) -> object:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(reading, "_DESCRIPTORS_SECONDS", 0.01)
    monkeypatch.setattr(reading, "_DESCRIPTORS_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(reading, "read_regular", none)
    (fault,) = refusal(lambda: read(tmp_path))
    assert (fault.code, fault.file, fault.line, fault.column) == ("unreadable", ".", 0, 0)
    assert (fault.message, fault.hint) == (
        "cannot be read: the process has no file descriptor left",
        "raise its limit of open files",
    )


@pytest.mark.parametrize("over", [0, 1])
def test_each_file_of_a_directory_is_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, over: int) -> None:
    write(tmp_path, FILES)
    longest = max(FILES, key=lambda name: len(FILES[name]))
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", len(FILES[longest]) - over)
    faults = read(tmp_path).faults
    assert [(fault.code, fault.file) for fault in faults] == [("unreadable", longest)] * over
    size = len(FILES[longest])
    message = f"cannot be read: it has {size} bytes, the limit is {size - over}"
    assert [fault.message for fault in faults] == [message] * over


def test_a_file_that_outgrows_the_bound_during_reading_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write(tmp_path, FILES)
    monkeypatch.setattr(reading, "MAX_FILE_BYTES", 10_000)
    honest = os.fstat

    def growing(handle: int) -> os.stat_result:
        (tmp_path / "rows.csv").write_bytes(FILES["rows.csv"])
        found = honest(handle)
        (tmp_path / "rows.csv").write_bytes(b"#" * 20_000)
        return found

    monkeypatch.setattr(os, "fstat", growing)
    faults = {fault.file: fault.message for fault in read(tmp_path).faults}
    assert faults == {"rows.csv": "cannot be read: it grew beyond 10000 bytes while it was read"}


def test_a_file_that_grows_within_the_bound_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file, honest = tmp_path / "rows.csv", os.fstat
    file.write_bytes(b"short")

    def growing(handle: int) -> os.stat_result:
        found = honest(handle)
        file.write_bytes(b"#" * 9_000)
        return found

    monkeypatch.setattr(os, "fstat", growing)
    assert reading.read_regular(file, 10_000) == b"#" * 9_000


def reading_while(monkeypatch: pytest.MonkeyPatch, directory: Path, changes: list[Mapping[str, bytes]]) -> PolicySource:
    """Read a directory whose files change after each read, as long as there are changes."""
    look = reading._look

    def then_change(place: Path) -> object:
        found = look(place)
        if changes:
            write(directory, changes.pop(0))
        return found

    monkeypatch.setattr(reading, "_look", then_change)
    monkeypatch.setattr(reading, "_PAUSE_SECONDS", 0.0)
    return read(directory)


def test_files_that_change_during_reading_are_read_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, FILES)
    new = files(ROWS[0])
    assert reading_while(monkeypatch, tmp_path, [new]).revision == from_bytes(new).revision


def test_files_that_keep_changing_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path, FILES)
    changes: list[Mapping[str, bytes]] = [files(f"# {number}", *ROWS) for number in range(50)]
    with pytest.raises(PolicyRefused) as refused:
        reading_while(monkeypatch, tmp_path, changes)
    assert [(fault.code, fault.file, fault.line, fault.column, fault.message) for fault in refused.value.faults] == [
        ("in-motion", ".", 0, 0, "the files changed while they were read")
    ]
    assert changes, "it ended in time"


def test_half_written_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path, FILES)
    (tmp_path / reading.MARKER).write_text(from_bytes(FILES).revision)
    assert refusal(lambda: read(tmp_path)) == ()
    (tmp_path / reading.MARKER).write_text(from_bytes(files(ROWS[0])).revision)
    (fault,) = refusal(lambda: read(tmp_path))
    assert (fault.code, fault.file, fault.line, fault.column) == ("in-motion", ".", 0, 0)


@pytest.mark.parametrize("resource", ["orders:/v1/nothing", "orders:/", "/orders", "/x/1/2"])
def test_an_unknown_route_has_no_rules_of_a_resource(resource: str) -> None:
    policy = snapshot("p, anyone, orders, GET, allow", "p, anyone, /x, GET, allow")
    assert policy.decide(frozenset(), "orders:7", "GET", NO_CONTEXT)
    denied = policy.decide(frozenset(), resource, "GET", NO_CONTEXT)
    assert (bool(denied), denied.reason) == (False, Reason.UNRULED)
