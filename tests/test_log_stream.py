"""The stream of the log: readers that are slow, stop or leave, and several writers of one pipe."""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TextIO

import pytest

from app.log_stream import LogStream
from tests.support.server import eventually

PIPE_BYTES = 65_536  # of Linux


class Pipe:
    """A pipe, read by the test when it wants to."""

    def __init__(self) -> None:
        end, write = os.pipe()
        self.end = os.fdopen(end, "rb", buffering=0)
        self.file: TextIO = os.fdopen(write, "w")
        self.data = b""

    def read(self, pause: float = 0.0) -> list[bytes]:
        """Read the lines until all writers have closed it."""
        while piece := self.end.read(4096 if pause else 1_000_000):
            self.data += piece
            time.sleep(pause)
        return self.data.split(b"\n")[:-1]

    def close(self) -> None:
        """Close both ends."""
        self.end.close()
        with suppress(OSError):  # of lines that were not written
            self.file.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe that nothing was written to."""
    opened = Pipe()
    yield opened
    opened.close()


def lines(count: int, size: int, name: str = "line") -> bytes:
    """So many lines of that size."""
    return b"".join(f"{name} {number} ".encode().ljust(size - 1, b".") + b"\n" for number in range(count))


def test_without_a_thread_lines_are_written_at_once() -> None:
    file = io.StringIO()
    stream = LogStream(file)
    stream.start()
    stream.write("é\n".encode())
    assert (stream.is_running, file.getvalue()) == (False, "é\n")


def test_all_lines_are_written_before_it_stops_and_later_ones_at_once(pipe: Pipe) -> None:
    stream = LogStream(pipe.file)
    stream.start()
    reader = threading.Thread(target=pipe.read)
    reader.start()
    for number in range(500):
        stream.write(lines(40, 200, f"{number}"), 40)
    assert stream.is_running
    stream.stop()
    assert not stream.is_running
    stream.write(b"last\n")
    pipe.file.close()
    reader.join()
    assert pipe.data == b"".join(lines(40, 200, f"{number}") for number in range(500)) + b"last\n"
    assert stream.dropped == 0


def test_a_reader_that_stops_delays_no_one_and_what_is_dropped_is_reported(pipe: Pipe) -> None:
    reports: list[int] = []
    stream = LogStream(pipe.file, capacity=100_000, reserve=20_000, report=reports.append)
    stream.start()
    for number in range(1_000):
        stream.write(lines(10, 100, f"{number}"), 10)
    assert eventually(lambda: stream.dropped > 0)
    dropped = stream.dropped
    assert 10_000 - (100_000 + 2 * PIPE_BYTES) // 100 <= dropped < 10_000
    stream.write(b"important\n", reserved=True)
    assert stream.dropped == dropped
    for number in range(1_000):
        stream.write(lines(10, 100, f"{number}"), 10, reserved=True)
    assert stream.dropped > dropped, "the reserve has a limit too"
    reader = threading.Thread(target=pipe.read)
    reader.start()
    assert eventually(lambda: sum(reports) == stream.dropped)
    stream.stop()
    pipe.file.close()
    reader.join()
    written = pipe.data.split(b"\n")[:-1]
    assert len(written) + stream.dropped == 20_001
    assert b"important" in written
    assert {len(line) for line in written} == {99, len(b"important")}


def test_a_reader_that_stops_does_not_keep_it_from_stopping(pipe: Pipe) -> None:
    stream = LogStream(pipe.file, capacity=200_000)
    stream.start()
    stream.write(lines(1_900, 100), 1_900)
    stream.stop(0.1)
    stream.stop(60)
    for _ in range(20):
        stream.write(lines(1_000, 100), 1_000)
    assert stream.dropped >= 17_000


@pytest.mark.parametrize("pause", [0.0, 0.0005])
def test_no_line_comes_into_the_middle_of_a_line_of_another_writer(pipe: Pipe, pause: float) -> None:
    sizes = (60, 330, 1_000, 4_000, 4_096)
    writers = [LogStream(os.fdopen(os.dup(pipe.file.fileno()), "w")) for _ in sizes]
    pipe.file.close()
    reader = threading.Thread(target=pipe.read, args=(pause,))
    reader.start()
    for writer in writers:
        writer.start()
    for number in range(5):
        for size, writer in zip(sizes, writers, strict=True):
            writer.write(lines(100_000 // size, size, f"{size} {number}"), 100_000 // size)
    for writer in writers:
        writer.stop(20)
        assert writer._target
        writer._target.close()
    reader.join()
    written = sorted(pipe.data.split(b"\n")[:-1])
    made = [lines(100_000 // size, size, f"{size} {number}") for number in range(5) for size in sizes]
    assert written == sorted(b"".join(made).split(b"\n")[:-1])


def test_a_line_that_is_longer_than_a_piece_is_written_too(pipe: Pipe) -> None:
    stream = LogStream(pipe.file)
    reader = threading.Thread(target=pipe.read)
    reader.start()
    stream.start()
    data = b"short\n" + lines(2, 300_000) + b"short\n" + b"without an end"
    stream.write(data, 4)
    stream.stop()
    pipe.file.close()
    reader.join()
    assert pipe.data == data


def test_a_stream_that_another_process_has_made_non_blocking_is_waited_for(pipe: Pipe) -> None:
    os.set_blocking(pipe.file.fileno(), False)
    stream = LogStream(pipe.file)
    stream.start()
    stream.write(lines(10_000, 100), 10_000)
    reader = threading.Thread(target=pipe.read)
    reader.start()
    stream.stop()
    pipe.file.close()
    reader.join()
    assert (pipe.data, stream.dropped) == (lines(10_000, 100), 0)


@pytest.mark.parametrize("where", ["a full disk", "a pipe without a reader"])
def test_what_cannot_be_written_is_counted(pipe: Pipe, where: str) -> None:
    if where == "a full disk":
        os.dup2(os.open("/dev/full", os.O_WRONLY), pipe.file.fileno())
    else:
        pipe.end.close()
    reports: list[int] = []
    stream = LogStream(pipe.file, report=reports.append)
    stream.start()
    stream.write(lines(300, 100), 300)
    assert eventually(lambda: stream.dropped == 300)
    stream.write(b"more\n")
    assert eventually(lambda: stream.dropped == 301)
    stream.stop()
    stream.write(b"late\n")
    assert (stream.dropped, sum(reports)) == (302, 301)


def test_a_process_without_standard_error_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    stream = LogStream()
    stream.start()
    stream.write(b"unread\n")
    assert (stream.is_running, stream.dropped) == (False, 1)
