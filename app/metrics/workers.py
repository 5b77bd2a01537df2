"""The numbers of several workers of one machine: each writes its own to a file, and a scrape reads them all.

A worker holds a lock for as long as it lives, however it ends. What one that has ended counted is added to a file of
its own kind, once, so that no sum ever falls and no number of restarts leaves many files.
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

from app.metrics.values import Values, merged, summed

_NUMBERS, _LOCK, _NEW = ".numbers", ".lock", ".new"
_ENDED = "ended" + _NUMBERS
_WAIT_SECONDS = 1.0
_decoder = msgspec.msgpack.Decoder(Values)
_log = structlog.stdlib.get_logger("metrics")


class WorkerMetrics:
    """The files of the workers in a directory, one of which is this process. Close it at the end."""

    def __init__(self, directory: Path) -> None:
        """Join the workers, and add up what those that have ended left behind. Raises OSError."""
        self._directory = directory
        self.name = str(os.getpid())
        self._one_at_a_time = threading.Lock()
        self._newest = 0
        with self._alone():
            self._add_ended()
            self._lock = os.open(self._path(self.name, _LOCK), os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)

    def close(self) -> None:
        """End as a worker."""
        os.close(self._lock)

    def write(self, values: Values) -> None:
        """Tell the others these numbers of this worker, unless they know newer ones. Raises OSError."""
        with self._one_at_a_time:
            if values.made > self._newest:
                _write(self._path(self.name, _NUMBERS), values)
                self._newest = values.made

    def all(self, own: Values) -> Values:
        """The numbers of all workers, those that have ended included, with `own` for this one. Raises OSError."""
        self.write(own)
        with self._alone():
            live, ended = {self.name: own}, [self._read(self._directory / _ENDED)]
            own.set("authz_worker_silent_seconds", 0)
            for name in self._others():
                path = self._path(name, _NUMBERS)
                if not path.exists():
                    continue
                values = self._read(path)
                if self._has_ended(name):
                    ended.append(values)
                else:
                    values.set("authz_worker_silent_seconds", max(time.time() - path.stat().st_mtime, 0))
                    live[name] = values
        return merged(live, summed(ended))

    def _add_ended(self) -> None:
        over = [name for name in (*self._others(), self.name) if self._has_ended(name)]
        if not over:
            return
        left = [self._read(path) for name in over if (path := self._path(name, _NUMBERS)).exists()]
        _write(self._directory / _ENDED, summed([self._read(self._directory / _ENDED), *left]))
        for name in over:
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
            return _locked(lock)
        finally:
            os.close(lock)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """While no other worker adds up, or reads, what has ended. Raises TimeoutError, an OSError."""
        lock = os.open(self._directory / f"all{_LOCK}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            until = time.monotonic() + _WAIT_SECONDS
            while not _locked(lock):
                # A holder was stopped: do not make the next one wait as long.
                if time.monotonic() > until:
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
            _log.error("the numbers of a worker cannot be read", file=path.name, error=str(error))
            return Values()


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, values: Values) -> None:
    """Replace the file atomically, so that no reader sees half of it."""
    new = path.with_suffix(_NEW)
    new.touch(mode=0o600)
    new.write_bytes(msgspec.msgpack.encode(values))
    new.replace(path)
