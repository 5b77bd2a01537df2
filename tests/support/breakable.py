"""A PostgreSQL server that a test may stop, pause, kill and start again on the same data."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit

from app.db.migrate import upgrade
from tests.support.cluster import Cluster, new_cluster

_START_SECONDS = 30.0
# Tests kill processes, not machines, so that what the system has in memory is safe.
# A killed server leaves what is not among its files: dynamic shared memory is among them.
_SETTINGS = ("fsync=off", "full_page_writes=off", "dynamic_shared_memory_type=mmap")
_TEMPLATE = "prepared"
_numbers = count(1)


class BreakablePostgres:
    """A started server in a new directory, which listens on a socket only. With `primary` it is a standby of that."""

    def __init__(
        self, primary: BreakablePostgres | None = None, *, place: Path | None = None, settings: Sequence[str] = ()
    ) -> None:
        self._settings = [word for setting in (*_SETTINGS, *settings) for word in ("-c", setting)]
        self._directory = Path(tempfile.mkdtemp(prefix="authz-pg-", dir=place))
        self._cluster = new_cluster(self._directory) if primary is None else self._copy(primary)
        self._process: subprocess.Popen[bytes] | None = None
        self._has_template = False
        self._newest = ""
        self._unused: list[str] = []
        self.start()

    def _copy(self, primary: BreakablePostgres) -> Cluster:
        cluster = replace(primary._cluster, data=self._directory / "data")
        if cluster.user:
            shutil.chown(self._directory, cluster.user)
        command = [
            *(str(cluster.programs / "pg_basebackup"), "-D", str(cluster.data)),
            *("-h", str(primary.socket), "-U", "postgres", "-R", "-c", "fast"),
        ]
        subprocess.run(command, check=True, capture_output=True, user=cluster.user, cwd="/")
        # The lock of the primary's socket was copied with the data.
        (cluster.data / ".s.PGSQL.5432.lock").unlink(missing_ok=True)
        return cluster

    @property
    def programs(self) -> Path:
        """The directory of its programs, such as `pg_dump`."""
        return self._cluster.programs

    @property
    def socket(self) -> Path:
        """The directory of its socket."""
        return self._cluster.data

    @property
    def pid(self) -> int:
        """The id of its first process, whose children are all others."""
        assert self._process
        return self._process.pid

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
                [self.programs / "postgres", "-D", self.socket, "-k", self.socket, "-h", "", *self._settings],
                stdout=log,
                stderr=log,
                user=self._cluster.user,
                cwd=self.socket,
            )
        deadline = time.monotonic() + _START_SECONDS
        ready = [str(self.programs / "pg_isready"), "-q", "-h", str(self.socket)]
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
        if prepared and not self._has_template:
            self.psql(f"CREATE DATABASE {_TEMPLATE}", database="postgres")
            asyncio.run(upgrade(self._url(_TEMPLATE)))
            self._has_template = True
        name = f"test_{next(_numbers)}"
        template = _TEMPLATE if prepared else "template0"
        # By default PostgreSQL would write all of the template to its log.
        create = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
        self.psql(*self._unused, create, database="postgres")
        self._unused.clear()
        self._newest = name
        return self._url(name)

    def drop(self, url: str) -> None:
        """Drop a database, with what is connected to it, before the next one is made."""
        self._unused.append(f"DROP DATABASE IF EXISTS {urlsplit(url).path[1:]} WITH (FORCE)")

    def _url(self, name: str) -> str:
        """The URL of a database, as in AUTHZ_DATABASE_URL."""
        return f"postgresql://postgres@/{name}?host={quote(str(self.socket))}"

    def psql(self, *statements: str, database: str = "") -> str:
        """The results of statements in `database`, by default the newest: a row per line, values separated by `|`."""
        command = [str(self.programs / "psql"), "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        where = ["-h", str(self.socket), "-U", "postgres", "-d", database or self._newest]
        where += [word for statement in statements for word in ("-c", statement)]
        done = subprocess.run([*command, *where], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def remove(self) -> None:
        """End it at once and remove its files. A regular stop would write all databases to the disk."""
        if self._process and self._process.poll() is None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT)  # it gives its shared memory back, which a killed server does not
            try:
                self._process.wait(_START_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in ("Z", "X")
