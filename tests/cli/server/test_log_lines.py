"""The access log of a server: complete after a clean stop, whole lines, and no request waits for a reader."""

from __future__ import annotations

import os
import re
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.log_stream import CAPACITY, DROPPED
from tests.cli.server.test_workers import workers
from tests.metrics.scraped import scrape
from tests.support.issuer import LiveIssuer
from tests.support.load import Load
from tests.support.server import AUTHZ, Server, eventually

SECRET = "the-secret-of-a-gateway-which-is-long-enough"
FOUR = (str(AUTHZ), "serve", "--port", "0", "--workers", "4")
ONE = FOUR[:-2]
LINE = (
    r"\d{4}-\d\d-\d\dT[\d:.]+Z \[info     \] request +auth_method=anonymous client=127\.0\.0\.1 key_id=None "
    r"method=GET milliseconds=[\d.]+ path=/healthz request_id=abc status=200 subject=None$"
)


class PausedReader(Server):
    """A server whose log is read while `resumed` is set."""

    def __init__(self, directory: Path, **words: Any) -> None:
        super().__init__(directory, **words)
        self.resumed = threading.Event()
        self.resumed.set()

    def _read(self) -> None:
        assert self.process
        assert self.process.stderr
        with self.process.stderr as log:
            for line in log:
                self.lines.append(line.rstrip("\n"))
                self.resumed.wait()


class TerminalServer(Server):
    """A server that logs for a terminal."""

    @property
    def log(self) -> list[dict[str, Any]]:
        """The line that it listens."""
        found = [re.search(r"listening .*url=(\S+)", line) for line in self.lines]
        return [{"event": "listening", "url": match[1]} for match in found if match]


def requests(server: Server) -> list[str]:
    """The request ids of the access lines."""
    return [entry["request_id"] for entry in server.log if entry.get("event") == "request"]


@pytest.mark.parametrize(("command", "number"), [(ONE, signal.SIGINT), (FOUR, signal.SIGTERM)], ids=["one", "four"])
def test_a_clean_stop_under_load_loses_no_line(
    on: str, issuer: LiveIssuer, tmp_path: Path, command: tuple[str, ...], number: signal.Signals
) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command, server=on)
    with server, Load(server.url, clients=8, headers={"X-Request-ID": "x" * 128}) as load:
        assert eventually(lambda: load.answers.total() > 600, 20)
        server.signal(number)
        load.join()
        server.stop()
    assert set(load.answers) == {200}
    assert {entry.get("raw") for entry in server.log} <= {None, "", "Aborted."}  # of the command that was interrupted
    lines = requests(server)
    assert set(lines) == {"x" * 128}
    # A connection that was not accepted before the listening socket was closed is reset.
    assert load.answers.total() <= len(lines) <= load.answers.total() + len(load.lost)


def test_a_second_interrupt_loses_no_line_of_an_answered_request(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, server=on, drain_seconds="60")
    with server:
        server.signal(signal.SIGINT)
        server.wait_for_log(lambda entry: entry.get("event") == "draining")
        with server.client() as client:
            for number in range(5):
                assert client.get("/healthz", headers={"X-Request-ID": f"r{number}"}).status_code == 200
        server.signal(signal.SIGINT)
        assert eventually(lambda: server.process is not None and server.process.poll() is not None, 10)
    assert requests(server) == ["r0", "r1", "r2", "r3", "r4"]


def test_a_reader_that_stops_delays_no_request_and_dropped_lines_are_reported(
    on: str, issuer: LiveIssuer, tmp_path: Path
) -> None:
    # The request of a gateway has a long line, of about 3,500 bytes.
    path = f"/gateway/envoy/api/v1/teams/{'7' * 950}"
    token = issuer.token(sub="\U0001f511" * 255, permissions=["catalog:read"])
    headers = {"Authorization": f"Bearer {token}", "X-Gateway-Secret": SECRET, "X-Request-ID": "x" * 128}
    server = PausedReader(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, server=on, gateway_secrets=SECRET)
    with server:
        server.resumed.clear()
        with Load(server.url, path, clients=4, headers=headers) as load:
            assert eventually(lambda: load.answers.total() > CAPACITY / 3_500, 30)
            assert eventually(lambda: scrape(server, issuer)("authz_log_lines_dropped_total") > 0, 20)
        assert (set(load.answers), load.lost) == ({200}, [])
        server.resumed.set()
        assert server.wait_for_log(lambda entry: entry.get("event") == DROPPED)["level"] == "warning"

        def dropped() -> int:
            return sum(entry["count"] for entry in server.log if entry.get("event") == DROPPED)

        # Some of those that were dropped may be of scrapes.
        assert eventually(lambda: requests(server).count("x" * 128) + dropped() >= load.answers.total())
        assert dropped() == scrape(server, issuer)("authz_log_lines_dropped_total")
        assert not [entry for entry in server.log if "raw" in entry]


def test_a_worker_that_dies_while_no_reader_reads_is_replaced(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = PausedReader(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=(*ONE, "--workers", "2"))
    with server:
        server.resumed.clear()
        with Load(server.url, clients=4, headers={"X-Request-ID": "x" * 128}) as load:
            # The pipe and the buffer of the reader are full.
            assert eventually(lambda: load.answers.total() > (65_536 + 8_192) / 300 + 100, 20)
        for _ in range(2):
            killed = min(workers(server))
            os.kill(killed, signal.SIGKILL)
            assert eventually(partial(_is_replaced, server, killed), 10)
        assert server.process
        server.process.terminate()
        assert server.process.wait(20) == -signal.SIGTERM
        server.resumed.set()


def _is_replaced(server: Server, killed: int) -> bool:
    found = workers(server)
    return len(found) == 2 and killed not in found


@pytest.mark.parametrize("access_log", ["true", "false"])
def test_a_line_for_a_terminal_has_the_same_fields(issuer: LiveIssuer, tmp_path: Path, access_log: str) -> None:
    server = TerminalServer(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, log_format="console", access_log=access_log
    )
    with server, server.client() as client:
        client.get("/healthz", headers={"X-Request-ID": "abc"})
        server.stop()
    lines = [line for line in server.lines if "/healthz" in line]
    assert len(lines) == (access_log == "true")
    assert all(re.match(LINE, line) for line in lines), lines
