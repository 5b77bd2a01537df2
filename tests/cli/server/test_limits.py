"""Limits of a connection, on real sockets."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

import pytest

from app.settings import ServerName
from tests.metrics.scraped import scrape
from tests.support.forked_process import program
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, eventually

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
CHUNKED = (
    b"POST /api/v1/leagues HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
)
# granian does not report connections: those of a peer are counted from outside. Idle ones end after 75 seconds.
ON_UVICORN = pytest.mark.parametrize("on", ["uvicorn"], indirect=True, scope="module")
ON_GRANIAN = pytest.mark.parametrize("on", ["granian"], indirect=True, scope="module")
CHUNKED_BODY = b"Transfer-Encoding: chunked\r\n\r\n" + b"4;a=b\r\n\r\n\r\n\r\n" * 20 + b"0\r\nX: y\r\n\r\n"
BODY = b"2\r\n{}\r\n0\r\n"


@pytest.fixture(scope="module", params=get_args(ServerName))
def on(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def serving(on: str, issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(
        tmp_path_factory.mktemp(on), jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, server=on
    ) as started:
        yield started


@pytest.fixture(scope="module")
def short(on: str, issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with short timeouts."""
    command = (sys.executable, "-m", "tests.apps.limited", on)
    directory = tmp_path_factory.mktemp("short")
    server = Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command)
    server.env["PYTHONPATH"] = str(Path(__file__).parents[3])
    with server as started:
        yield started


def connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname or "", address.port or 0), timeout=10)


def answer_to(connection: socket.socket) -> tuple[int, bytes]:
    """The status and body; 0 if the connection ends without an answer."""
    received = b""
    try:
        while piece := connection.recv(65536):
            received += piece
            head, separator, body = received.partition(b"\r\n\r\n")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
            )
            if separator and len(body) >= length:
                return int(head.split()[1]), body
    except ConnectionError:
        pass
    return 0, b""


def exchange(server: Server, request: bytes) -> tuple[int, bytes]:
    with connect(server) as connection:
        with suppress(ConnectionError):  # the server has answered, and stopped reading
            connection.sendall(request)
        return answer_to(connection)


def padded(size: int) -> bytes:
    """A request whose head has `size` bytes, in one field."""
    return GET + b"X-A: " + b"a" * (size - len(GET) - 9) + b"\r\n\r\n"


def test_a_head_of_64_kb_is_read_and_a_larger_one_is_431(serving: Server) -> None:
    assert exchange(serving, padded(65_000))[0] == 200
    many = b"".join(b"X-%d: %s\r\n" % (number, b"a" * 1000) for number in range(60))
    assert exchange(serving, GET + many + b"\r\n")[0] == 200
    for request in (
        padded(66_500),
        padded(300_000),
        GET + many + many + b"\r\n",
        GET + b"x" * 200_000 + b": a\r\n\r\n",
        GET + b"X: a\r\n" * 20_000 + b"\r\n",
        GET + b"X-A: " + b"a" * 100_000,  # and no end
    ):
        status, body = exchange(serving, request)
        assert status == 431
        assert not body or list(json.loads(body)) == ["detail"]


@pytest.mark.parametrize(("count", "expected"), [(99, 200), (101, 431), (10_000, 431)])
def test_more_than_a_hundred_fields_are_431(serving: Server, count: int, expected: int) -> None:
    # However small they are: reading thousands of them delays all other callers.
    assert (
        exchange(serving, b"GET /healthz HTTP/1.1\r\n" + b"Host: x\r\n" + b"a:\r\n" * (count - 1) + b"\r\n")[0]
        == expected
    )


@ON_UVICORN
def test_trailers_and_fields_are_counted_for_each_request(serving: Server) -> None:
    with connect(serving) as connection:
        for _ in range(3):
            fields = b"a:\r\n" * 90
            connection.sendall(GET + fields + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + fields + b"\r\n")
            assert answer_to(connection)[0] == 200


def test_a_target_of_more_than_8_kb_is_414(serving: Server) -> None:
    for length, expected in ((8_000, 200), (8_300, 414), (20_000, 414), (60_000, 414)):
        for target in (b"/healthz?" + b"a" * length, b"/healthz?" + b"a=%20&" * (length // 6)):
            assert exchange(serving, b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)[0] == expected


def resident(server: Server) -> int:
    """The memory of a server, in KB."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def test_a_head_without_an_end_takes_no_memory(serving: Server) -> None:
    exchange(serving, padded(60_000))
    before = resident(serving)
    for start in (GET + b"X-A: ", GET + b"x", b"GET /" + b"a" * 100, CHUNKED + b"\r\n2;"):
        assert exchange(serving, start + b"a" * 30_000_000)[0] in (0, 400, 401, 414, 431)
    assert resident(serving) - before < 20_000
    assert exchange(serving, GET + b"\r\n")[0] == 200


@pytest.mark.parametrize("path", [b"/healthz", b"/api/v1/leagues", b"/nothing"])
def test_a_flood_of_pipelined_requests_takes_no_memory(serving: Server, path: bytes) -> None:
    few = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % path * 300
    before = resident(serving)
    with connect(serving) as flooding:
        flooding.settimeout(0.2)
        # Until the server stops reading, or ends the connection.
        with suppress(TimeoutError, ConnectionError):
            for _ in range(300):
                flooding.sendall(few)
        assert exchange(serving, GET + b"\r\n")[0] == 200
        assert resident(serving) - before < 20_000


@ON_UVICORN
@pytest.mark.parametrize(
    "request_", [GET + b"\r\n", GET + b"Content-Length: 1000\r\n\r\n" + b"\r\n\r\na" * 200, GET + CHUNKED_BODY]
)
def test_pipelined_requests_are_answered_one_by_one(serving: Server, request_: bytes) -> None:
    with connect(serving) as connection:
        connection.sendall(request_ * 400 + GET + b"Connection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 ") == 401


def authorized(issuer: LiveIssuer) -> bytes:
    token = issuer.token(permissions=["catalog:write"])
    return CHUNKED + f"Authorization: Bearer {token}\r\n\r\n".encode()


def test_trailers_are_no_headers(serving: Server, issuer: LiveIssuer) -> None:
    """A proxy that adds or removes headers does not inspect trailers."""
    credentials = f"Authorization: Bearer {issuer.token(permissions=['catalog:write'])}\r\n\r\n".encode()
    assert exchange(serving, CHUNKED + b"\r\n" + BODY + credentials)[0] == 401
    # With credentials in the head, the body is read, and refused as incomplete.
    status, body = exchange(serving, authorized(issuer) + BODY + credentials)
    assert (status, json.loads(body)["detail"]) == (400, "The request body is invalid.")


def test_extensions_of_chunks_and_trailers_are_bounded(serving: Server, issuer: LiveIssuer) -> None:
    head = authorized(issuer)
    for framing in (
        b"2;" + b"e" * 100_000 + b"\r\n{}\r\n0\r\n\r\n",
        b"1;%s\r\n \r\n" % (b"e" * 900) * 120 + BODY + b"\r\n",
        BODY + b"X-T: " + b"t" * 100_000 + b"\r\n\r\n",
        BODY + b"X-T: t\r\n" * 20_000 + b"\r\n",
    ):
        status, body = exchange(serving, head + framing)
        assert status in (400, 431)
        assert json.loads(body)["detail"] != "The request body is invalid."


def test_the_chunks_of_a_body_are_bounded_by_their_number_and_its_bytes(serving: Server, issuer: LiveIssuer) -> None:
    """On granian each takes as long as a short request."""
    head = authorized(issuer)
    small, end = b"1\r\n \r\n", BODY + b"\r\n"
    large = b"200\r\n%s\r\n" % (b" " * 512)
    assert json.loads(exchange(serving, head + small * 1_000 + end)[1])["errors"], "read as a whole: one for 512 bytes"
    assert json.loads(exchange(serving, head + large * 9 + small * 1_000 + end)[1])["errors"]
    status, body = exchange(serving, head + small * 1_001 + end)
    assert (status, json.loads(body)["detail"]) == (400, "The request body was sent in too many small chunks.")
    assert exchange(serving, head + small * 20_000 + end)[0] in (0, 400), "whose rest is not read"


@pytest.mark.parametrize(
    "framing", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}xx0\r\n\r\n", b"-2\r\n{}\r\n0\r\n\r\n", b"2\n{}\n", b"\x00\r\n"]
)
def test_a_malformed_chunk_is_400_without_a_traceback(serving: Server, issuer: LiveIssuer, framing: bytes) -> None:
    status, body = exchange(serving, authorized(issuer) + framing)
    assert status == 400
    assert list(json.loads(body)) == ["detail"]
    assert not [line for line in serving.lines if "Traceback" in line or "unhandled" in line]


@ON_UVICORN
def test_a_refused_request_is_not_asked_for_its_body(serving: Server, issuer: LiveIssuer) -> None:
    head = authorized(issuer).replace(b"Host: x\r\n", b"Host: x\r\nExpect: 100-continue\r\n")
    assert exchange(serving, head + b"zz\r\n{}\r\n0\r\n\r\n")[0] == 400
    assert exchange(serving, GET + b"\r\n")[0] == 200
    assert not [line for line in serving.lines if "Traceback" in line or "unhandled" in line]


def test_a_client_that_leaves_within_a_body_is_no_error_of_the_server(serving: Server, issuer: LiveIssuer) -> None:
    with connect(serving) as connection:
        connection.sendall(authorized(issuer) + b"5\r\n{")
    assert eventually(lambda: any(line.get("status") == 400 for line in serving.log[-3:]))
    assert not [line for line in serving.lines if "Traceback" in line or "unhandled" in line]


def test_the_longest_token_has_room_in_a_head(issuer: LiveIssuer, tmp_path: Path) -> None:
    with Server(
        tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, max_token_bytes="65536"
    ) as server:
        token = issuer.token(permissions=["catalog:read"], padding="a" * 45_000)
        assert 60_000 < len(token) <= 65_536
        with server.client(token) as client:
            assert client.get("/api/v1/teams", headers={"X-More": "a" * 10_000}).status_code == 200
            assert client.get("/api/v1/teams", headers={"X-More": "a" * 30_000}).status_code == 431


def test_a_process_with_few_descriptors_keeps_serving(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    """With more connections than descriptors, it keeps those that it needs itself."""
    command = ("sh", "-c", f"ulimit -n 128 && exec {program()} serve --port 0")
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command, server=on) as server:
        first = connect(server)
        first.sendall(GET + b"\r\n")
        assert answer_to(first)[0] == 200
        many = [connect(server) for _ in range(200)]
        if on == "uvicorn":  # which has accepted all of them then
            server.wait_for_log(lambda line: line["event"].startswith("a connection was ended because few file desc"))
        rows = sorted(server.policy_dir.glob("*.csv"))[0]
        rows.write_text(f"# a comment\n{rows.read_text()}")
        server.wait_for_log(lambda line: line["event"] == "policy swapped")
        first.sendall(GET + b"\r\n")
        assert answer_to(first)[0] == 200
        first.close()
        for connection in many:
            connection.close()
        assert eventually(lambda: exchange(server, GET + b"\r\n")[0] == 200)
        refused = scrape(server, issuer)("authz_server_refusals_total", reason="no_descriptors")
        assert (refused > 0) is (on == "uvicorn"), "on granian connections wait to be accepted"
        assert not [line for line in server.log if line["level"] == "error"]


def closes(connection: socket.socket) -> tuple[int, bool]:
    """The status of the answer, and whether the connection is then closed."""
    status, _ = answer_to(connection)
    try:
        return status, connection.recv(1) == b""
    except ConnectionError:
        return status, True


@pytest.fixture
def late(on: str) -> int:
    """The status of the answer to a late head; 0 for none."""
    return 408 if on == "uvicorn" else 0


@pytest.mark.parametrize("start", [b"G", b"GET /healthz", GET, GET + b"X-A: a", b"\r\n\r\nGET / HT"])
def test_a_head_must_arrive_in_time(short: Server, late: int, start: bytes) -> None:
    with connect(short) as connection:
        connection.sendall(start)
        assert closes(connection) == (late, True)


def test_each_head_of_a_connection_must_arrive_in_time(short: Server, late: int) -> None:
    with connect(short) as connection:
        connection.sendall(GET + b"\r\n")
        assert answer_to(connection) == (200, b"0")
        time.sleep(0.05)
        connection.sendall(GET)
        assert closes(connection) == (late, True)


def test_a_slow_head_gets_no_extra_time(short: Server, late: int) -> None:
    with connect(short) as connection:
        for byte in GET[:3]:
            connection.sendall(bytes([byte]))
            time.sleep(0.15)
        assert closes(connection) == (late, True)
    assert exchange(short, GET + b"\r\n")[0] == 200


def test_an_idle_connection_is_not_a_late_head(short: Server) -> None:
    with connect(short) as connection:
        for _ in range(2):
            connection.sendall(GET + b"\r\n")
            assert answer_to(connection) == (200, b"0")
            time.sleep(0.7)


def test_a_body_may_pause_but_not_stop(short: Server) -> None:
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    with connect(short) as connection:
        connection.sendall(post)
        for _ in range(9):
            time.sleep(0.1)
            connection.sendall(b"a")
        assert answer_to(connection) == (200, b"9")
        # The connection stays open.
        connection.sendall(GET + b"\r\n")
        assert answer_to(connection) == (200, b"0")
    for request in (post + b"aaa", post, post.replace(b"Content-Length: 9", b"Transfer-Encoding: chunked") + b"5\r\na"):
        with connect(short) as connection:
            connection.sendall(request)
            status, body = answer_to(connection)
            assert (status, json.loads(body)) == (408, {"detail": "The request did not arrive in time."})
            assert connection.recv(1) == b""


@ON_UVICORN
def test_a_request_whose_body_stops_after_the_answer_gets_no_other_answer(short: Server) -> None:
    for body in (b"Content-Length: 9\r\n\r\naaa", b"Transfer-Encoding: chunked\r\n\r\n5\r\na"):
        with connect(short) as connection:
            connection.sendall(b"POST /early HTTP/1.1\r\nHost: x\r\n" + body)
            assert closes(connection) == (200, True)


@ON_UVICORN
def test_a_connection_on_which_nothing_is_sent_is_closed(short: Server) -> None:
    with connect(short) as connection:
        assert closes(connection) == (0, True)


@ON_UVICORN
def test_the_connections_of_a_peer_are_limited(short: Server) -> None:
    for _ in range(2):
        many = [connect(short) for _ in range(20)]
        for connection in many:
            connection.sendall(GET + b"\r\n")
            assert answer_to(connection)[0] == 200
        with connect(short) as beyond:
            status, body = answer_to(beyond)
            assert (status, json.loads(body)) == (429, {"detail": "Too many requests."})
        many[0].sendall(GET + b"\r\n")
        assert answer_to(many[0])[0] == 200
        assert short.wait_for_log(lambda line: line["event"] == "a budget is spent")["by"] == "127.0.0.1"
        for connection in many:
            connection.close()
        assert eventually(lambda: exchange(short, GET + b"\r\n")[0] == 200)


def fill(server: Server, limit: int) -> list[socket.socket]:
    """Open as many connections as a peer may have, and more that are ended. Those of before may end a moment later."""
    for _ in range(15):
        many = [connect(server) for _ in range(limit + 5)]
        assert eventually(partial(is_down_to, many, limit))
        kept = [connection for connection in many if is_open(connection)]
        for connection in many if len(kept) < limit else set(many).difference(kept):
            connection.close()
        if len(kept) == limit:
            return kept
        time.sleep(1)  # more than any time limit of the server
    raise AssertionError(f"the limit is less than {limit}")


def is_down_to(many: list[socket.socket], number: int) -> bool:
    return sum(map(is_open, many)) <= number


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1) != b""
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


@ON_GRANIAN
def test_the_connections_of_a_peer_beyond_its_limit_are_ended(short: Server) -> None:
    for _ in range(2):
        kept = fill(short, 20)
        try:
            # Existing connections are unaffected by new ones.
            with connect(short) as beyond:
                assert eventually(partial(is_down_to, [beyond], 0))
            for connection in kept:
                connection.settimeout(10)
                connection.sendall(GET + b"\r\n")
                assert answer_to(connection)[0] == 200
        finally:
            for connection in kept:
                connection.close()
        assert eventually(lambda: exchange(short, GET + b"\r\n")[0] == 200)
    line = short.wait_for_log(lambda line: line["event"] == "a budget is spent")
    assert (line["budget"], line["by"]) == ("connections", "127.0.0.1")


@pytest.mark.parametrize("count", [1, 2, 3, 30])
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/teams", "/readyz"])
@pytest.mark.parametrize(
    "end", [b"\0ET / HTTP/1.1\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"GET /\r\nX", b"X: y\r\n" * 20_000]
)
def test_a_malformed_request_after_pipelined_ones_is_no_error(
    serving: Server, count: int, path: str, end: bytes
) -> None:
    requests = f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * count
    before = len(serving.lines)
    with connect(serving) as connection:
        with suppress(ConnectionError):  # the server has answered, and stopped reading
            connection.sendall(requests + end)
        status, _ = answer_to(connection)
    assert status in (0, 200, 400, 401, 431)
    # Nor is a disconnect before all answers.
    with connect(serving) as connection:
        connection.sendall(requests)
    assert exchange(serving, GET + b"\r\n")[0] == 200
    assert not [line for line in serving.lines[before:] if "Traceback" in line or '"level":"error"' in line]
