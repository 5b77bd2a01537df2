"""The stream of the log, written by a thread while an application is served.

A reader that stops reading, or a full disk, then delays no request: lines wait up to a limit, and beyond it they are
dropped, counted and reported.
"""

from __future__ import annotations

import os
import select
import stat
import sys
import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TextIO

import structlog

CAPACITY = 4_000_000  # bytes that may wait, more than 10,000 lines
RESERVE = 1_000_000  # bytes in addition, for lines that are not about a request
STOP_SECONDS = 3.0
REPORT_SECONDS = 1.0
DROPPED = "log lines were dropped"
# A pipe takes that much in one piece, so that no line of another process comes into the middle of a line.
_PIECE = select.PIPE_BUF
_PIECE_OF_FILE = 65_536
_log = structlog.stdlib.get_logger("logs")


class LogStream:
    """Writes lines to a text file, by default the standard error of the moment; from `start` to `stop` in a thread.

    `capacity` and `reserve` limit the bytes that wait. `dropped` counts lines that were lost: too many were waiting, or
    they could not be written. `report` is called with their number, at most once in `REPORT_SECONDS`, in the thread.
    """

    def __init__(
        self,
        target: TextIO | None = None,
        *,
        capacity: int = CAPACITY,
        reserve: int = RESERVE,
        report: Callable[[int], None] | None = None,
    ) -> None:
        self._target = target
        self._report_drops = report or _warn
        self._capacity = capacity
        self._reserve = reserve
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lock = threading.RLock()  # reentrant, for lines of signal handlers
        self._thread: threading.Thread | None = None
        self._flush: Callable[[], None] | None = None
        self._gave_up = False
        self._queue: SimpleQueue[tuple[bytes, int] | None] = SimpleQueue()  # whole lines, and their number
        self._waiting = 0
        self.dropped = 0
        self._reported = 0

    @property
    def is_running(self) -> bool:
        """Whether a thread writes, so that no caller waits."""
        return self._thread is not None

    def write(self, data: bytes, lines: int = 1, *, reserved: bool = False) -> None:
        """Write whole lines, in UTF-8; never raises. `reserved` lines use the reserve too."""
        with self._lock:
            if self._thread is None:
                self._write_directly(data, lines)
            elif self._waiting + len(data) > self._capacity + self._reserve * reserved:
                self.drop(lines)
            else:
                self._waiting += len(data)
                self._queue.put((data, lines))

    def drop(self, lines: int) -> None:
        """Count lines that are not written."""
        with self._lock:
            self.dropped += lines

    def start(self, flush: Callable[[], None] | None = None) -> None:
        """Start the thread, which a fork does not copy: each process starts its own.

        `flush` writes lines that are collected elsewhere, before the thread ends.
        """
        self._flush = flush
        target = self._target or sys.stderr
        try:
            descriptor = target.fileno()
        except (OSError, ValueError, AttributeError):  # there is none, it is closed, or in memory
            return
        with self._lock:
            if self._thread is None:
                target.flush()
                arguments = (descriptor, _piece_of(descriptor))
                # A daemon: a reader that reads nothing must not keep the process.
                self._thread = threading.Thread(target=self._run, args=arguments, name="log", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write the lines that are collected elsewhere. Call it in the thread that collects them."""
        if self._flush is not None:
            self._flush()

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Write what waits, for at most that long, and end the thread; later lines are written at once.

        If the thread does not end, because no one reads the log, later lines are dropped and no caller waits for them.
        """
        thread = self._thread
        if thread is None or self._gave_up:
            return
        self._report()
        self._queue.put(None)
        thread.join(seconds)
        with self._lock:
            self._gave_up = thread.is_alive()
            if not self._gave_up:
                self._thread = None
                while not self._queue.empty():  # lines since then
                    if (item := self._queue.get()) is not None:
                        self._waiting -= len(item[0])
                        self._write_directly(*item)

    def _write_directly(self, data: bytes, lines: int) -> None:
        target = self._target or sys.stderr
        try:
            target.write(data.decode(errors="backslashreplace"))
            target.flush()
        except (OSError, ValueError, AttributeError):  # its reader has gone, it is closed, or there is none
            self.drop(lines)

    def _run(self, descriptor: int, piece: int) -> None:
        report_at = 0.0
        while True:
            unreported = self.dropped > self._reported
            if unreported and time.monotonic() >= report_at:
                report_at = time.monotonic() + REPORT_SECONDS
                self._report()
            try:
                item = self._queue.get(timeout=REPORT_SECONDS if unreported else None)
            except Empty:
                continue
            if item is None:
                return
            self._write_pieces(descriptor, piece, *item)

    def _report(self) -> None:
        """Report how many lines were dropped since the last report."""
        with self._lock:
            count, self._reported = self.dropped - self._reported, self.dropped
        if count:
            self._report_drops(count)

    def _write_pieces(self, descriptor: int, piece: int, data: bytes, lines: int) -> None:
        """Write lines, as many as fit in one piece at a time."""
        start = written = 0
        try:
            while start < len(data):
                end = len(data)
                if end - start > piece:
                    end = data.rfind(b"\n", start, start + piece) + 1 or data.find(b"\n", start) + 1 or end
                _write_all(descriptor, data[start:end])
                written += data.count(b"\n", start, end)
                with self._lock:
                    self._waiting -= end - start
                start = end
        except OSError:  # the reader has gone, or the disk is full
            with self._lock:
                self.drop(lines - written)
                self._waiting -= len(data) - start


def _warn(count: int) -> None:
    _log.warning(DROPPED, count=count)


def _piece_of(descriptor: int) -> int:
    # The system writes to a file one process after the other.
    return _PIECE_OF_FILE if stat.S_ISREG(os.fstat(descriptor).st_mode) else _PIECE


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:  # another process on the same stream has set it so
            room = select.poll()
            room.register(descriptor, select.POLLOUT)
            room.poll()
