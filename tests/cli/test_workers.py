"""Several workers are one server: each obeys, each is replaced when it dies, and none outlives who started it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from tests.history.test_publish import admin, body, files, history, narrower
from tests.issuer import PARTY, LiveIssuer
from tests.load import Load
from tests.server import AUTHZ, Server, eventually

TWO = (str(AUTHZ), "serve", "--port", "0", "--workers", "2")


def workers(server: Server) -> set[int]:
    """The process ids of the children."""
    assert server.process
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_one_that_dies_is_replaced_and_all_obey_a_new_policy(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, command=TWO, server=on
    )
    with server:
        first = workers(server)
        assert len(first) == 2
        token = issuer.token(permissions=["catalog:read"])
        with Load(server.url, "/api/v1/teams/", clients=4, headers={"Authorization": f"Bearer {token}"}) as load:
            dead, alive = sorted(first)
            os.kill(dead, signal.SIGKILL)
            assert eventually(lambda: len(workers(server)) == 2 and dead not in workers(server))
            assert alive in workers(server)
            with admin(server, issuer) as client:
                sent = body(client, narrower(server))
                assert client.post("/api/v1/policies/publish", json=sent).status_code == 200
            asked_of: set[int] = set()

            def obeyed() -> bool:
                # A connection each time, so that it is now one worker and now the other.
                with admin(server, issuer) as stranger:
                    asked_of.add(stranger.head("/api/v1/leagues").status_code)
                    return stranger.head("/api/v1/leagues").status_code == 403

            assert eventually(lambda: all(obeyed() for _ in range(20)), 30)
            server.signal(signal.SIGHUP)
            answered = load.answers[200]
            assert eventually(lambda: load.answers[200] > answered + 20)
        assert set(load.answers) == {200}
        # Those that the dead one had accepted are all that is lost.
        assert len(load.lost) <= 4
        died = [entry for entry in server.log if entry.get("event") == "a worker died and is replaced"]
        assert [(entry["worker"], entry["how"]) for entry in died] == [(dead, "signal 9")]
        assert server.stop() == -signal.SIGTERM
    assert [entry["event"] for entry in server.log if entry.get("event") == "stopped"] == ["stopped"] * 2
    assert files(server) == sent["files"]


def test_of_changes_made_at_once_by_two_workers_one_is_taken_and_none_is_undone(
    issuer: LiveIssuer, tmp_path: Path
) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, command=TWO)
    outcomes: list[tuple[str, int]] = []

    def publish(number: int) -> None:
        for turn in range(2):
            with admin(server, issuer) as client:  # of whichever worker takes the connection
                content = files(server)
                content["catalog.csv"] = content["catalog.csv"].replace("# end", f"# by {number}, {turn}\n# end")
                request = body(client, content)
                outcomes.append((request["parent"], client.post("/api/v1/policies/publish", json=request).status_code))

    with server:
        with admin(server, issuer) as client:
            assert eventually(lambda: len(history(client)) == 1)
        threads = [threading.Thread(target=publish, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with admin(server, issuer) as client:
            entries = history(client)[::-1]
            stored = client.get(f"/api/v1/policies/history/{entries[-1]['revision']}").json()["files"]
    # A file read half way through another's change makes a content of its own, which is then refused or taken whole.
    assert {status for _, status in outcomes} <= {200, 409, 422}
    taken = [parent for parent, status in outcomes if status == 200]
    assert len(taken) == len(set(taken)) == len(entries) - 1 >= 2
    assert [entry["kind"] for entry in entries] == ["files", *["publish"] * len(taken)]
    assert [entry["parent_id"] for entry in entries[1:]] == [entry["id"] for entry in entries[:-1]]
    assert files(server) == stored


def test_none_is_left_on_the_port_when_the_one_who_started_them_is_killed(
    on: str, issuer: LiveIssuer, tmp_path: Path
) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=TWO, server=on)
    with server:
        left = workers(server)
        server.signal(signal.SIGKILL)
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
        host, port = server.url.removeprefix("http://").split(":")
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((host, int(port)))
            again.listen()


def test_a_policy_with_a_fault_stops_the_start_as_with_one(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=TWO)
    (server.policy_dir / "catalog.csv").write_text("p, catalog:read, /api/v1/teams/**, GET, alow\n# end\n")
    with pytest.raises(RuntimeError):
        server.start()
    said = "\n".join(server.lines)
    assert "the policy has faults" in said
    assert "did you mean `allow`?" in said
    assert server.process
    assert server.process.poll() == 1
