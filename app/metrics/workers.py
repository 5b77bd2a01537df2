"""The metrics of several workers on one machine: each writes a file, and a scrape reads all of them.

Each worker holds a lock on a file while it runs, so that its end is noticed. The counters of a worker that has ended
are added once to a common file: no sum ever decreases, and restarts leave no files.

The multiprocess mode of prometheus_client is not used. It is switched on by an environment variable before the library
is imported, writes each observation to a memory-mapped file on the request's path, keeps the files of counters of
every worker that has ended, and supports neither custom collectors nor metrics of the process.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import structlog

from app.metrics.values import Values, merge_workers, sum_counters

_NUMBERS, _LOCK, _NEW = ".numbers", ".lock", ".new"
_ENDED = "ended" + _NUMBERS
_WAIT_SECONDS = 1.0
_decoder = msgspec.msgpack.Decoder(Values)
_log = structlog.stdlib.get_logger("metrics")


class WorkerMetrics:
    """The files of the workers in a directory, of which this process is one. Must be closed."""

    def __init__(self, directory: Path) -> None:
        """Join the workers, and add up the counters of those that have ended. Raises OSError."""
        self._directory = directory
        self.name = str(os.getpid())
        self._write_lock = threading.Lock()
        self._last_reading = 0
        with self._exclusive():
            self._add_ended()
            self._lock = os.open(self._path(self.name, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """Release the lock of this worker, which marks it as ended."""
        os.close(self._lock)

    def write(self, values: Values) -> None:
        """Write the values of this worker, unless newer ones are written already. Raises OSError."""
        with self._write_lock:
            if values.reading > self._last_reading:
                _write(self._path(self.name, _NUMBERS), values)
                self._last_reading = values.reading

    def merge(self, values: Values) -> Values:
        """Merge the values of this worker with those of all others, ended ones included. Raises OSError."""
        self.write(values)
        with self._exclusive():
            live, ended = {self.name: values}, [self._read(self._directory / _ENDED)]
            values.set("authz_worker_silent_seconds", 0)
            for name in self._others():
                path = self._path(name, _NUMBERS)
                if not path.exists():
                    continue
                other = self._read(path)
                if self._has_ended(name):
                    ended.append(other)
                else:
                    other.set("authz_worker_silent_seconds", max(time.time() - path.stat().st_mtime, 0))
                    live[name] = other
        return merge_workers(live, sum_counters(ended))

    def _add_ended(self) -> None:
        ended = [name for name in (*self._others(), self.name) if self._has_ended(name)]
        if not ended:
            return
        values = [self._read(path) for name in ended if (path := self._path(name, _NUMBERS)).exists()]
        _write(self._directory / _ENDED, sum_counters([self._read(self._directory / _ENDED), *values]))
        for name in ended:
            for suffix in (_NUMBERS, _LOCK):
                self._path(name, suffix).unlink(missing_ok=True)

    def _others(self) -> Iterator[str]:
        return (name for path in self._directory.glob(f"*{_LOCK}") if (name := path.stem) not in (self.name, "all"))

    def _has_ended(self, name: str) -> bool:
        try:
            lock = os.open(self._path(name, _LOCK), os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return _try_lock(lock)
        finally:
            os.close(lock)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Hold the lock of the directory, under which ended workers are added up. Raises TimeoutError, an OSError."""
        lock = os.open(self._directory / f"all{_LOCK}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            deadline = time.monotonic() + _WAIT_SECONDS
            while not _try_lock(lock):
                if time.monotonic() > deadline:  # the process that holds it may be suspended
                    raise TimeoutError("another worker holds the lock of the metrics")
                time.sleep(0.01)
            yield
        finally:
            os.close(lock)

    def _path(self, name: str, suffix: str) -> Path:
        return self._directory / f"{name}{suffix}"

    def _read(self, path: Path) -> Values:
        try:
            return _decoder.decode(path.read_bytes())
        except FileNotFoundError:
            return Values()
        except msgspec.MsgspecError as error:
            _log.error("the metrics of a worker cannot be read", file=path.name, error=str(error))
            return Values()


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, values: Values) -> None:
    """Replace a file atomically."""
    new = path.with_suffix(_NEW)
    new.touch(mode=0o600)
    new.write_bytes(msgspec.msgpack.encode(values))
    new.replace(path)
