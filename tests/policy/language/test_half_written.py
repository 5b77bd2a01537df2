"""A directory during a write: read completely or refused, and locked for one writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.policy.engine.live import LivePolicy
from app.policy.language import directory as reading
from app.policy.language import write as writing
from app.policy.language.directory import MARKER, read
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import write
from tests.policy.small import files

OLD = files("p, a:read, /x, GET, allow")
NEW = {**files("p, b:read, /x, GET, allow"), "entities/own.yaml": b"resources:\n  - {type: a, id: b}\n# end\n"}
TABLE = RouteTable([Route("/x", "GET")])
REVISION = from_bytes(NEW).revision


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return write(tmp_path / "policies", OLD)


def refused(place: Path) -> Fault:
    with pytest.raises(PolicyRefused) as found:
        read(place)
    (fault,) = found.value.faults
    return fault


def test_a_marker_states_the_revision_while_files_are_written(place: Path) -> None:
    assert writing.unfinished(place) is None
    writing.begin(place, REVISION)
    assert writing.unfinished(place) == REVISION
    fault = refused(place)
    assert (fault.code, fault.file, fault.line, fault.column) == ("in-motion", ".", 0, 0)
    assert fault.message == f"these files are being changed to the revision {REVISION}"
    assert fault.hint == f"wait; if no publish is running, start `authz serve`, which recovers it, or delete {MARKER}"
    writing.write(place, NEW)
    assert read(place).revision == REVISION
    assert writing.unfinished(place) == REVISION
    writing.finish(place)
    assert writing.unfinished(place) is None
    writing.finish(place)
    assert reading.raw_files(place) == NEW
    writing.write(place, OLD)
    assert reading.raw_files(place) == OLD
    assert not [path for path in place.rglob("*") if path.is_file() and path.name not in OLD]


def test_half_of_the_files_is_refused(place: Path) -> None:
    writing.begin(place, REVISION)
    write(place, {"rows.csv": NEW["rows.csv"]})
    assert refused(place).code == "in-motion"


def test_an_unreadable_marker_is_a_marker(place: Path) -> None:
    (place / MARKER).mkdir()
    assert writing.unfinished(place) == ""
    fault = refused(place)
    assert (fault.code, fault.file, fault.line, fault.column) == ("in-motion", MARKER, 0, 0)
    assert fault.message.startswith("the marker of an unfinished publish cannot be read: ")
    assert fault.hint == "start `authz serve`, which recovers from it, or delete it"


def test_a_missing_directory_has_no_unfinished_change(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert writing.unfinished(tmp_path / "file") is None
    assert writing.unfinished(tmp_path / "none") is None
    with pytest.raises(writing.PolicyNotWritten, match=r"none cannot be written: no such file or directory"):
        writing.begin(tmp_path / "none", "r")
    with pytest.raises(writing.PolicyNotWritten, match=r"none cannot be written: no such file or directory"):
        writing.write(tmp_path / "none", {})


def test_one_process_writes_at_a_time_and_readers_wait_for_it(place: Path) -> None:
    live = LivePolicy(place, TABLE)
    assert not live.is_being_written()
    handle = writing.lock(place)
    assert handle is not None
    assert writing.lock(place) is None
    assert not live.is_being_written(), "it has not started"
    writing.begin(place, REVISION)
    assert live.is_being_written()
    writing.unlock(handle)
    assert not live.is_being_written(), "the writer is gone"
    again = writing.lock(place)
    assert again is not None, "a reader keeps no lock"
    writing.unlock(again)


def test_a_directory_with_names_that_are_refused_is_not_written(place: Path) -> None:
    (place / "rows.CSV").write_bytes(b"")
    refusal = r"cannot be written: it holds rows\.CSV: unexpected file"
    with pytest.raises(writing.PolicyNotWritten, match=refusal):
        writing.begin(place, REVISION)
    with pytest.raises(writing.PolicyNotWritten, match=refusal):
        writing.write(place, NEW)
    assert writing.unfinished(place) is None
    assert (place / "rows.csv").read_bytes() == OLD["rows.csv"]


def test_a_link_out_of_the_directory_is_not_written(place: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (place / "entities").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(writing.PolicyNotWritten):
        writing.write(place, NEW)
    assert not any((tmp_path / "elsewhere").iterdir())
