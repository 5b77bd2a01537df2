"""Inspecting the connections of granian has no effect on the rest of the process."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.cli.server.granian_connections import GranianConnections
from app.cli.server.limits import ConnectionLimits

pytestmark = pytest.mark.anyio

WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('INSERT INTO t VALUES (1)')"


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_a_sqlite_lock_survives_the_inspection_of_connections(tmp_path: Path, mode: str) -> None:
    file = str(tmp_path / "some.db")

    def written_by_another() -> str:
        done = subprocess.run([sys.executable, "-c", WRITE, file], capture_output=True, text=True, check=False)
        return done.stderr.strip().rpartition("\n")[2]

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as client,
        listener.accept()[0] as accepted,
        closing(sqlite3.connect(file, isolation_level=None)) as database,
    ):
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute("CREATE TABLE t (x)")
        database.execute("BEGIN IMMEDIATE")
        client.send(b"GET / HTTP/1.1\r\nX-A: ")
        watching = asyncio.create_task(GranianConnections(listener, ConnectionLimits(head_seconds=0.2)).watch())
        client.settimeout(10)
        assert await asyncio.to_thread(client.recv, 10) == b"", "connections were inspected, since the head was late"
        watching.cancel()
        assert written_by_another() == "sqlite3.OperationalError: database is locked"
        assert accepted.fileno() > 0
