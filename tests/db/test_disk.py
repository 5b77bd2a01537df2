"""A full or almost full disk: it is reported, and the reserve is kept for revocations."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from app.audit.batch import Batch
from app.audit.log import BatchNotStored
from app.db.decision_writer import DecisionWriter
from app.db.disk import BALLAST_BYTES, FULL, SHORT, DiskSpace, is_full
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.keys.last_used import LastUsed
from tests.cli.command import command
from tests.db.test_decision_store import PLAIN
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually, prepared_database

pytestmark = pytest.mark.anyio
KEYS = "/api/v1/api-keys/"


class _PostgresError(Exception):
    def __init__(self, state: str) -> None:
        super().__init__()
        self.sqlstate = state


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "no space"), True),
        (OSError(errno.EDQUOT, "quota"), True),
        (OSError(errno.EACCES, "no"), False),
        (_PostgresError("53100"), True),
        (_PostgresError("53300"), False),
        (DBAPIError("x", None, _PostgresError("53100")), True),
        (DBAPIError("x", None, _PostgresError("23505")), False),
        (sqlite3.OperationalError("locked"), False),
        (None, False),
    ],
    ids=str,
)
def test_an_out_of_space_error_is_recognised(error: BaseException | None, expected: bool) -> None:
    assert is_full(error) is expected


async def test_a_full_disk_pauses_growing_writes_until_there_is_room(tmp_path: Path) -> None:
    """With a page limit of SQLite instead of a full disk."""
    file = Path(shutil.copy(prepared_database(), tmp_path / "authz.db"))
    url = f"sqlite:///{file}"
    engine, disk = open_engine(url), DiskSpace(url, 0)
    event.listen(engine.sync_engine, "connect", lambda connection, _: connection.execute("PRAGMA max_page_count = 1"))
    disk.watch(engine)
    disk.check_space()
    ballast = tmp_path / "authz.db-reserve"
    assert ballast.stat().st_size == BALLAST_BYTES
    assert ballast.stat().st_blocks * 512 >= BALLAST_BYTES
    assert ballast.stat().st_mode & 0o077 == 0
    sessions = sessions_of(engine)
    writer = DecisionWriter(sessions, disk)
    with pytest.raises(BatchNotStored, match="full"):
        for _ in range(100):
            await writer.write(Batch.of([PLAIN] * 500))
    assert disk.shortage == FULL
    assert not ballast.exists()
    with pytest.raises(BatchNotStored, match=FULL):
        await writer.write(Batch.of([PLAIN]))
    last_used = LastUsed(sessions, disk)
    last_used.note_use(1)
    assert not await last_used.flush()
    async with sessions() as session:  # needs no more pages
        await session.execute(text("UPDATE api_keys SET revoked_at = '2026-01-01 00:00:00'"))
        await session.commit()
    await engine.dispose()


async def test_nothing_is_paused_while_the_reserve_is_free(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'authz.db'}"
    disk = DiskSpace(url, 10**9)
    assert disk.shortage == ""
    disk.check_space()
    assert disk.shortage == SHORT
    assert list(tmp_path.iterdir()) == []
    of_server = DiskSpace("postgresql://postgres@/none")
    of_server.check_space()
    assert (of_server.shortage, of_server.free_mb) == ("", None)
    of_server.note(_PostgresError("53100"))
    assert of_server.shortage == FULL


@pytest.fixture
def small(tmp_path: Path) -> Iterator[tuple[Path, Callable[[], bool]]]:
    """A directory on a small file system and a function that fills it, which does nothing if none can be mounted."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, check=False
    )

    def fill() -> bool:
        if mounted.returncode != 0:
            return False
        with (place / "of another program").open("wb", buffering=0) as file:
            for size in (65_536, 4096, 512, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError as error:
                    assert error.errno == errno.ENOSPC
        return True

    yield place, fill
    if mounted.returncode == 0:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("reserve", ["1000000", "1"], ids=["almost full", "full"])
def test_keys_can_be_revoked_on_a_full_disk(
    small: tuple[Path, Callable[[], bool]], issuer: LiveIssuer, tmp_path: Path, reserve: str
) -> None:
    place, fill = small
    shutil.copy(prepared_database(), place / "authz.db")
    url = f"sqlite:///{place / 'authz.db'}"
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, disk_reserve_mb="0", database_url=url)
    with server:
        token = issuer.token(sub="user_owner", permissions=["catalog:read", "catalog:write", "decisions:read"])
        with server.client(token) as client:
            keys = [client.post(KEYS, json={"name": "k", "scopes": ["catalog:read"]}).json() for _ in range(2)]
        server.stop()
        server.lines.clear()
        server.env["AUTHZ_DISK_RESERVE_MB"] = reserve
        server.start()
        ballast = place / "authz.db-reserve"
        with server.client(token) as client:
            assert ballast.exists()
            if reserve == "1" and not fill():
                server.stop()
                server.lines.clear()
                server.env["AUTHZ_DISK_RESERVE_MB"] = "1000000"
                server.start()
                client.base_url = httpx.URL(server.url)
            assert eventually(lambda: "disk" in client.get("/readyz").json()["checks"]["database"], 12)
            ready = client.get("/readyz")
            assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
            assert ready.json()["checks"]["database"]["ok"] is True
            assert client.get("/api/v1/teams/").status_code == 200
            for refused in (
                client.post(KEYS, json={"name": "k", "scopes": ["catalog:read"]}),
                client.post(f"{KEYS}{keys[0]['api_key']['id']}/rotate/"),
                client.post("/api/v1/leagues/", json={"name": "New", "abbreviation": "NEW"}),
            ):
                assert refused.status_code == 503, refused.text
                assert "The disk of the database is" in refused.json()["detail"]
                assert int(refused.headers["retry-after"]) > 0
            assert client.post(f"{KEYS}{keys[0]['api_key']['id']}/revoke/").json()["is_active"] is False
            assert eventually(lambda: "disk" in str(client.get("/api/v1/decisions/health").json()["error"]))
            log = client.get("/readyz").json()["checks"]["decision_log"]
            assert (log["ok"], log["last_drop"]) == (False, None), "decisions wait, and none is lost yet"
        done = command("keys", "revoke", str(keys[1]["api_key"]["id"]), env=server.env)
        assert done.returncode == 0, done.stderr
        for key in keys:
            with server.client(key["plaintext"]) as program:
                assert eventually(lambda each=program: each.get("/api/v1/teams/").status_code == 401, 3)  # type: ignore[misc]
        assert any("The disk of the database is" in str(entry.get("event")) for entry in server.written_log())


def test_the_command_line_says_that_the_disk_is_full(tmp_path: Path, small: tuple[Path, Callable[[], bool]]) -> None:
    place, fill = small
    file = Path(shutil.copy(prepared_database(), place / "authz.db"))
    is_filled = fill()
    shutil.copytree(Path(__file__).parents[2] / "policies", tmp_path / "policies")
    env = {"AUTHZ_DATABASE_URL": f"sqlite:///{file}", "AUTHZ_POLICY_DIR": str(tmp_path / "policies")}
    done = command("policy", "publish", str(tmp_path / "policies"), "-m", "m", env=env)
    if not is_filled:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 1
    assert done.stderr == "authz: the disk of the database is full: free some of it.\n"
    (place / "of another program").unlink()
    (place / "authz.db-reserve").write_bytes(b"x" * BALLAST_BYTES)
    fill()
    done = command("keys", "list", env=env)
    assert "is free now: try again" in done.stderr
    done = command("keys", "list", env=env)
    assert done.returncode == 0, done.stderr
