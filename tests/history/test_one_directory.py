"""Two processes on one policy directory and one SQLite file, like workers on one machine."""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.history.replicas import another, edit, publish, replica, served
from tests.history.test_publish import PUBLISH, active, admin, body, files, history
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually, prepared_database


@pytest.fixture
def two(issuer: LiveIssuer, tmp_path: Path) -> Iterator[tuple[Server, Server]]:
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    url = f"sqlite:///{tmp_path / 'authz.db'}"
    with replica(tmp_path / "one", issuer, url) as one:
        other = replica(tmp_path / "two", issuer, url, policy_dir=str(one.policy_dir))
        other.policy_dir = one.policy_dir
        with other:
            yield one, other


def test_both_processes_serve_the_changes_of_each(two: tuple[Server, Server], issuer: LiveIssuer) -> None:
    one, other = two
    revisions = [served(one)]
    for server in (one, other, one):
        told = publish(server, issuer, another(server), wait=10)
        assert (told["replicas"]["serving"], told["replicas"]["behind"]) == (2, [])
        revisions.append(told["revision"])
    edit(one, another(one))
    assert eventually(lambda: served(one) == served(other) != revisions[-1])
    revisions.append(served(one))
    with admin(other, issuer) as client:
        assert eventually(lambda: [entry["revision"] for entry in history(client)] == revisions[::-1])
        assert client.get(f"/api/v1/policies/history/{revisions[-1]}").json()["files"] == files(one)
    for server in two:
        assert not [entry for entry in server.log if entry.get("level") in ("error", "warning")]


def test_a_process_completes_the_change_of_a_killed_one(two: tuple[Server, Server], issuer: LiveIssuer) -> None:
    one, other = two
    content = another(one)
    with admin(one, issuer) as client:
        first = active(client)
        request = body(client, content)
        killer = threading.Timer(0.12, one.signal, (signal.SIGKILL,))
        killer.start()
        with suppress(httpx.TransportError):
            client.post(PUBLISH, json=request)
        killer.join()
    with admin(other, issuer) as client:
        newest = history(client)[0]["revision"]
        assert eventually(lambda: served(other) == newest, 3)
        # A stored change is written; the marker of one that was not stored stays until the next publish.
        stored = client.get(f"/api/v1/policies/history/{newest}").json()["files"]
        assert eventually(lambda: files(other) == stored)
        assert client.post(PUBLISH, json=body(client, another(other))).status_code == 200
        assert not (other.policy_dir / ".publishing").exists()
        assert first in [entry["revision"] for entry in history(client)]
