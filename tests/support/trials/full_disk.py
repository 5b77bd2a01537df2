"""Fill the disk of the database, and compare what is answered and logged with what was before and comes afterwards."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from app.settings import ServerName
from tests.support.databases import Kind, Postgres
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server, eventually, prepared_database

_MEGABYTES: dict[Kind, int] = {"sqlite": 8, "postgresql": 160}
_SECONDS = 60.0  # until the log is written again
_PATH = "/api/v1/teams/"


def full_disk(server: ServerName, kind: Kind, seconds: float, *, issuer: LiveIssuer, place: Path) -> Iterator[str]:
    """Yield what must not happen on a new server while its disk is full for a time, and afterwards.

    Needs the right to mount a file system.
    """
    with ExitStack() as stack:
        small = stack.enter_context(_file_system(place / "small", _MEGABYTES[kind]))
        url = _database(kind, small, stack)
        directory = place / "server"
        directory.mkdir()
        started = stack.enter_context(
            Server(
                directory,
                jwks_url=issuer.jwks_url,
                issuer=issuer.url,
                database_url=url,
                server=server,
                disk_reserve_mb="1",
            )
        )
        token = issuer.token(sub="user_known", permissions=["catalog:read", "decisions:read"])
        client = stack.enter_context(started.client(token))
        _fill(small)
        answers, until = Counter[int](), time.monotonic() + seconds
        while time.monotonic() < until:
            answers[client.get(_PATH).status_code] += 1
        if answers.keys() != {200}:
            yield f"requests were answered with {dict(answers)} while the disk was full"
        if (status := client.get("/readyz").json()["status"]) != "degraded":
            yield f"/readyz was {status} while the disk was full"
        if "disk" not in str(_health(client)["error"]):
            yield f"the decision log reports {_health(client)['error']}"
        (small / "filler").unlink()
        if not eventually(lambda: _logged(client) >= answers.total(), _SECONDS):
            yield f"{answers.total() - _logged(client)} of {answers.total()} decisions were not logged afterwards"
        if dropped := _health(client)["dropped"]:
            yield f"{dropped} decisions were dropped"


def _database(kind: Kind, small: Path, stack: ExitStack) -> str:
    if kind == "sqlite":
        return f"sqlite:///{shutil.copy(prepared_database(), small / DATABASE)}"
    postgres = Postgres(small)
    stack.callback(postgres.stop)
    return postgres.new(prepared=True)


@contextmanager
def _file_system(place: Path, megabytes: int) -> Iterator[Path]:
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _fill(place: Path) -> None:
    with (place / "filler").open("wb", buffering=0) as file:
        for size in (65_536, 4096, 512, 1):
            try:
                while file.write(b"x" * size) == size:
                    pass
            except OSError:
                continue  # a smaller piece may fit


def _health(client: httpx.Client) -> dict[str, object]:
    found: dict[str, object] = client.get("/api/v1/decisions/health").json()
    return found


def _logged(client: httpx.Client) -> int:
    found = client.get(
        "/api/v1/decisions/export", params={"route": "/api/v1/teams", "subject": "user_known"}, timeout=60
    )
    return found.text.count("\n") if found.status_code == 200 else 0
