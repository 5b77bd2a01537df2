"""Routes that an application adds need rows as all others do, or the server does not start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server

ROWS = """
p, catalog:read, /extra/socket, WEBSOCKET, allow
p, catalog:read, /extra/mounted/**, GET|HEAD, allow
p, anyone, /extra/mounted/**, POST|PUT|PATCH|DELETE, deny
p, catalog:read, /extra/failing, GET, allow
p, catalog:read, /extra/unruled, GET, allow
# end
"""


def with_routes(issuer: LiveIssuer, directory: Path, names: str, rows: str) -> Server:
    """A server with routes added, and rows for them, not yet started."""
    command = (sys.executable, "-m", "tests.apps.more_routes")
    made = Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command)
    made.env |= {"EXTRA_ROUTES": names, "PYTHONPATH": str(ROOT)}
    (made.policy_dir / "extra.csv").write_text(rows)
    return made


@pytest.fixture(scope="module")
def ruled(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a row for each route: the WebSocket, the mount, a failing handler, and one that had none."""
    with with_routes(issuer, tmp_path_factory.mktemp("ruled"), "socket mounted failing unruled", ROWS) as started:
        yield started


def test_a_route_without_a_row_stops_the_start_and_names_the_row(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = with_routes(issuer, tmp_path, "unruled", "# end\n")
    with pytest.raises(RuntimeError) as stopped:
        server.start()
    assert "no rule covers GET /extra/unruled" in str(stopped.value)
    assert "add `p, <grants>, /extra/unruled, GET, allow`" in str(stopped.value)
    assert server.process
    assert server.process.returncode != 0


def test_the_row_of_the_error_message_lets_the_server_start(ruled: Server, issuer: LiveIssuer) -> None:
    assert httpx.get(f"{ruled.url}/extra/unruled").status_code == 401
    with ruled.client(issuer.token(permissions=["catalog:read"])) as client:
        assert client.get("/extra/unruled").status_code == 200


def test_a_websocket_is_decided_before_it_opens(ruled: Server, issuer: LiveIssuer) -> None:
    url = ruled.url.replace("http:", "ws:") + "/extra/socket"

    def greet(permissions: list[str]) -> str | bytes:
        header = {"Authorization": f"Bearer {issuer.token(permissions=permissions)}"}
        with connect(url, additional_headers=header) as socket:
            return socket.recv()

    assert greet(["catalog:read"]) == "hello"
    with pytest.raises(InvalidStatus) as denied:
        greet(["holdings:read"])
    assert denied.value.response.status_code == 403
    with pytest.raises(InvalidStatus) as unknown, connect(url):
        pass
    assert unknown.value.response.status_code == 401


@pytest.mark.parametrize("path", ["/extra/mounted", "/extra/mounted/", "/extra/mounted/deep/er"])
def test_a_mounted_application_has_one_rule(ruled: Server, issuer: LiveIssuer, path: str) -> None:
    assert httpx.get(ruled.url + path).status_code == 401
    with ruled.client(issuer.token(permissions=["holdings:read"])) as client:
        assert client.get(path).status_code == 403
    with ruled.client(issuer.token(permissions=["catalog:read"])) as client:
        assert client.get(path).text == "mounted"
        assert client.post(path).status_code == 403
        assert client.request("PROPFIND", path).status_code in (400, 403, 405)


def test_an_unhandled_exception_is_logged_and_not_shown(ruled: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["catalog:read"])
    with ruled.client(token) as client:
        answer = client.get("/extra/failing", headers={"X-Request-ID": "seen-by-both"})
    assert answer.status_code == 500
    assert answer.json() == {"detail": "Internal server error."}
    assert answer.headers["x-request-id"] == "seen-by-both"
    entry = ruled.wait_for_log(lambda line: line.get("event") == "unhandled exception")
    assert entry["request_id"] == "seen-by-both"
    assert "RuntimeError: the handler broke" in entry["exception"]
    assert token not in "\n".join(ruled.written_lines())
