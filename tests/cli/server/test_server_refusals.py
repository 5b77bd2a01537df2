"""What a server refuses itself, before the application has a request, is counted by reason and logged."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest

from app.http.door.server_refusals import SERVER_REFUSALS
from app.settings import ServerName
from tests.cli.server.test_limits import GET, authorized, closes, connect, exchange, padded
from tests.metrics.scraped import scrape
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server

EVENT = "a request was refused by the server"
METRIC = "authz_server_refusals_total"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\naaa"
LONG_TARGET = b"GET /healthz?needle%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"a" * 8_300)
# granian answers a malformed head itself and does not report it; a malformed chunk there is a request that is refused.
MALFORMED = b"needle\0 / HTTP/1.1\r\n\r\n"
SERVERS = pytest.mark.parametrize("kind", get_args(ServerName))


def refusals(log: Sequence[dict[str, Any]]) -> list[tuple[str, int, str]]:
    """The reasons, statuses and clients of the lines."""
    return [(line["reason"], line["status"], line["client"]) for line in log if line.get("event") == EVENT]


@SERVERS
def test_refusals_of_a_server_are_counted_and_logged_without_the_request(
    kind: str, issuer: LiveIssuer, tmp_path: Path
) -> None:
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, server=kind) as server:
        before = scrape(server, issuer)
        assert before.values(METRIC, "reason") == set(SERVER_REFUSALS), "those of which there were none too"
        assert before(METRIC) == 0
        assert [exchange(server, LONG_TARGET)[0] for _ in range(3)] == [414] * 3
        assert exchange(server, padded(66_500).replace(b"X-A: a", b"needle: a"))[0] == 431
        assert exchange(server, authorized(issuer) + b"1\r\n \r\n" * 1_002)[0] == 400
        expected = {"long_target": 3, "large_head": 1, "small_chunks": 1}
        if kind == "uvicorn":
            assert [exchange(server, MALFORMED)[0] for _ in range(2)] == [400] * 2
            assert exchange(server, authorized(issuer) + b"zz\r\nneedle")[0] == 400
            expected["malformed"] = 3
        assert exchange(server, GET + b"\r\n")[0] == 200
        after = scrape(server, issuer)
        assert {reason: after(METRIC, reason=reason) for reason in expected} == expected
        assert after(METRIC) == sum(expected.values()), "nothing else is counted"
        of_reason = {"long_target": 414, "large_head": 431, "small_chunks": 400, "malformed": 400}
        assert refusals(server.written_log()) == [
            (reason, of_reason[reason], "127.0.0.1") for reason, count in expected.items() for _ in range(count)
        ]
        assert "needle" not in "".join(server.lines)
        assert "Invalid HTTP request received." not in "".join(server.lines), "one line for each"


def flood(server: Server) -> int:
    """Send refused requests, and return how many."""
    count = 300
    for _ in range(count):
        assert exchange(server, LONG_TARGET)[0] == 414
    return count


@SERVERS
def test_a_flood_of_refusals_has_a_line_a_second_with_a_count(kind: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, server=kind) as server:
        count = flood(server)
        assert scrape(server, issuer)(METRIC, reason="long_target") == count
        server.stop()  # which writes the last count
        lines = refusals(server.log)
        omitted = [line["lines"] for line in server.log if line.get("event") == "similar log lines were omitted"]
    assert len(lines) < count
    assert len(lines) + sum(line[f"{EVENT} 414"] for line in omitted) == count


@pytest.fixture(params=get_args(ServerName))
def short(request: pytest.FixtureRequest, issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    """A server with short timeouts."""
    command = (sys.executable, "-m", "tests.apps.limited", request.param)
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command)
    server.env["PYTHONPATH"] = str(ROOT)
    with server as started:
        yield started


def test_a_late_head_and_a_late_body_are_refusals_and_an_idle_connection_is_not(
    short: Server, request: pytest.FixtureRequest
) -> None:
    status = 408 if "uvicorn" in request.node.name else 0  # granian ends the connection
    with connect(short) as late:
        late.sendall(GET)
        assert closes(late) == (status, True)
    with connect(short) as late:
        late.sendall(POST)
        assert closes(late) == (408, True)
    if status:
        with connect(short) as idle:
            assert closes(idle) == (0, True)
    with connect(short) as last:
        last.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert closes(last) == (408, True)
    short.stop()
    late_head, late_body = ("late_head", status, "127.0.0.1"), ("late_body", 408, "127.0.0.1")
    assert refusals(short.log) == [late_head, late_body, late_body]
