"""Several workers: each applies changes, is replaced when it dies, and ends with its parent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from app.cli.server.heartbeat import Heartbeat
from app.cli.server.run_directory import remove, run_directory
from tests.history.test_publish import admin, body, files, history, narrower
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.load import Load
from tests.support.server import AUTHZ, ROOT, Server, eventually

BEATS = 5.0  # seconds of silence after which a worker counts as hanging
TWO = (str(AUTHZ), "serve", "--port", "0", "--workers", "2")


def workers(server: Server) -> set[int]:
    """The process ids of the children."""
    assert server.process
    pid = server.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def test_a_dead_worker_is_replaced_and_all_workers_apply_a_new_policy(
    on: str, issuer: LiveIssuer, tmp_path: Path
) -> None:
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

            def is_applied() -> bool:
                # A new connection each time, so that both workers are reached.
                with admin(server, issuer) as stranger:
                    asked_of.add(stranger.head("/api/v1/leagues").status_code)
                    return stranger.head("/api/v1/leagues").status_code == 403

            assert eventually(lambda: all(is_applied() for _ in range(20)), 30)
            server.signal(signal.SIGHUP)
            answered = load.answers[200]
            assert eventually(lambda: load.answers[200] > answered + 20)
        assert set(load.answers) == {200}
        # Only the connections that the dead one had accepted are lost.
        assert len(load.lost) <= 4
        died = [entry for entry in server.log if entry.get("event") == "a worker died and is replaced"]
        assert [(entry["worker"], entry["how"]) for entry in died] == [(dead, "signal 9")]
        assert server.stop() == -signal.SIGTERM
    assert [entry["event"] for entry in server.log if entry.get("event") == "stopped"] == ["stopped"] * 2
    assert files(server) == sent["files"]


def test_a_hanging_worker_is_replaced(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=TWO, server=on, worker_timeout_seconds=str(BEATS)
    )
    with server:
        first = workers(server)
        stuck, other = sorted(first)
        os.kill(stuck, signal.SIGSTOP)
        assert eventually(lambda: len(workers(server)) == 2 and stuck not in workers(server), 4 * BEATS)
        assert other in workers(server)
        server.wait_for_log(lambda entry: entry.get("event") == "a worker died and is replaced")
        events = [(entry["event"], entry["worker"]) for entry in server.log if "worker" in entry]
        assert events == [("a worker hung and is killed", stuck), ("a worker died and is replaced", stuck)]
        assert server.stop() == -signal.SIGTERM


_STOPS_AS_IT_IS_READY = """
import asyncio, os, signal, socket, sys, time
from app.cli.server.workers import WorkerSupervisor

def work(first, ready):
    def stop_after_write(frame, event, function):
        if first and event == "c_return" and function is os.write:
            os.kill(os.getpid(), signal.SIGSTOP)

    async def serve():
        sys.setprofile(stop_after_write)
        ready()
        sys.setprofile(None)
        os.kill(os.getppid(), signal.SIGTERM)
        await asyncio.sleep(60)

    asyncio.run(serve())

listener = socket.create_server(("127.0.0.1", 0))
nothing = lambda: None
WorkerSupervisor(1, listener, work, started=nothing, abandoned=nothing, stop_seconds=5, hung_seconds=1).run()
"""


def test_a_worker_that_hangs_as_soon_as_it_is_ready_is_replaced() -> None:
    command = [sys.executable, "-c", _STOPS_AS_IT_IS_READY]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True)
    assert "a worker hung and is killed" in ended.stdout + ended.stderr


_SERVES_EACH_SECOND_TIME = """
import asyncio, os, signal, socket, sys, time
from pathlib import Path
from app.cli.server.workers import WorkerSupervisor

forks = Path(sys.argv[1])

def work(first, ready):
    number = len(forks.read_text())
    with forks.open("a") as file:
        file.write("x")
    print("fork", number, "first" if first else "replacement", flush=True)
    if number % 2 == 0:
        time.sleep(60)

    async def serve():
        ready()
        await asyncio.sleep(0.2)
        if number == 1:
            os._exit(3)
        os.kill(os.getppid(), signal.SIGTERM)
        await asyncio.sleep(60)

    asyncio.run(serve())

forks.touch()
listener = socket.create_server(("127.0.0.1", 0))
said, nothing = lambda: print("started", flush=True), lambda: None
supervisor = WorkerSupervisor(
    1, listener, work, started=said, abandoned=nothing, stop_seconds=5, hung_seconds=30, start_seconds=1
)
print("complete", supervisor.run())
"""


def test_a_worker_that_hangs_before_it_serves_is_replaced(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SERVES_EACH_SECOND_TIME, str(tmp_path / "forks")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=40, check=True)
    lines = (ended.stdout + ended.stderr).splitlines()
    said = ["fork 0 first", "fork 1 first", "started", "fork 2 replacement", "fork 3 replacement", "complete True"]
    assert [line for line in lines if line in said] == said
    killed = [line for line in lines if "a worker does not serve and is killed" in line]
    assert ["see what it logged last" in line for line in killed] == [True] * 2
    assert sum("did not serve in time" in line for line in lines) == 2


@pytest.mark.anyio
async def test_a_paused_machine_does_not_count_as_a_hanging_worker() -> None:
    heartbeat = Heartbeat()
    assert [heartbeat.look() for _ in range(3)] == [0, 0, 0], "nothing is expected before it serves"
    heartbeat.start()
    assert [heartbeat.look() for _ in range(3)] == [0, 1, 2]
    heartbeat.start()
    assert [heartbeat.look() for _ in range(2)] == [0, 1]


def test_of_concurrent_changes_by_two_workers_one_succeeds(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, command=TWO)
    outcomes: list[tuple[str, int]] = []

    def publish(number: int) -> None:
        for turn in range(2):
            with admin(server, issuer) as client:  # of the worker that accepts the connection
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
    # A file that is read during a change by another worker is other content, which is refused or accepted as a whole.
    assert {status for _, status in outcomes} <= {200, 409, 422}
    taken = [parent for parent, status in outcomes if status == 200]
    assert len(taken) == len(set(taken)) == len(entries) - 1 >= 2
    assert [entry["kind"] for entry in entries] == ["files", *["publish"] * len(taken)]
    assert [entry["parent_id"] for entry in entries[1:]] == [entry["id"] for entry in entries[:-1]]
    assert files(server) == stored


def test_workers_end_when_their_parent_is_killed(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=TWO, server=on)
    shared = tmp_path / "temporary"
    shared.mkdir()
    server.env["TMPDIR"] = str(shared)
    with server:
        left = workers(server)
        assert len(list(shared.iterdir())) == 1
        server.signal(signal.SIGKILL)
        assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))
        assert not list(shared.iterdir())
        host, port = server.url.removeprefix("http://").split(":")
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((host, int(port)))
            again.listen()


def test_a_policy_with_a_fault_prevents_the_start_of_several_workers(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=TWO)
    (server.policy_dir / "catalog.csv").write_text("p, catalog:read, /api/v1/teams/**, GET, alow\n# end\n")
    with pytest.raises(RuntimeError):
        server.start()
    said = "\n".join(server.lines)
    assert "the policy has faults" in said
    assert "did you mean `allow`?" in said
    assert server.process
    assert server.process.poll() == 1


def test_stale_files_are_removed_at_the_next_start(tmp_path: Path) -> None:
    for name in ("authz-run-killed", "authz-run-older", "authz-other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.numbers").touch()
    (tmp_path / "authz-run-killed" / "in-use").touch()
    (tmp_path / "authz-run-link").symlink_to(tmp_path / "authz-other")
    (tmp_path / "authz-other" / "in-use").touch()
    with run_directory([str(tmp_path / "none"), str(tmp_path)]) as one, run_directory([str(tmp_path)]) as two:
        left = {path.name for path in tmp_path.iterdir()}
        # One without a lock may be about to acquire it.
        assert left == {one.name, two.name, "authz-run-older", "authz-run-link", "authz-other"}
        assert one.stat().st_mode & 0o777 == 0o700
        remove(two)
        assert not two.exists()
    assert (tmp_path / "authz-other" / "1.numbers").exists()


def test_several_workers_need_a_writable_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), run_directory([str(tmp_path / "none"), "/proc"]):
        pass
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"none of {tmp_path / 'none'}, /proc can be written: mount a writable file system" in said


# The program itself, with all that it imports, which takes seconds: each form of it on one kind of server.
@pytest.mark.parametrize(("on", "words"), [("uvicorn", ("serve", "--port", "0")), ("granian", TWO[1:])])
def test_sighup_before_it_listens_does_not_end_it(
    on: str, words: tuple[str, ...], issuer: LiveIssuer, tmp_path: Path
) -> None:
    command = (sys.executable, str(AUTHZ), *words)
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, server=on, command=command)
    over = threading.Event()

    def hang_up() -> None:
        while not over.wait(0.005):
            # Its own code runs, and it will not listen for long.
            if server.process and "pydantic_core" in Path(f"/proc/{server.process.pid}/maps").read_text():
                server.process.send_signal(signal.SIGHUP)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        with server:
            over.set()
            thread.join()
            assert server.process
            assert server.process.poll() is None
            assert httpx.get(f"{server.url}/readyz").status_code == 200
    finally:
        over.set()
    assert not [entry for entry in server.log if entry.get("level") in ("warning", "error")]
