"""One `authz dev --mcp` for all tests here, and an app on this machine whose document it fetches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.support.certificate import make
from tests.support.dev_server import DevServer, dev_server
from tests.support.threaded_server import ThreadedServer

HOST = "client.example"
REDIRECT = "http://127.0.0.1/cb"  # on any port


@pytest.fixture(scope="session")
def client_document(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The URL of the document of an app, and the authority that its host is trusted by."""
    with _document_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory, client_document: tuple[str, Path]) -> Iterator[DevServer]:
    """A running `authz dev --mcp`."""
    program = (sys.executable, str(Path(__file__).with_name("trusting_dev.py")), "dev")
    trusted = {"SSL_CERT_FILE": str(client_document[1])}
    with dev_server(tmp_path_factory.mktemp("dev"), "--mcp", program=program, **trusted) as started:
        yield started


@contextmanager
def _document_site(directory: Path) -> Iterator[tuple[str, Path]]:
    certificate = make(directory, "site", hosts=(HOST,))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            described = {"client_id": url, "client_name": "Python SDK", "redirect_uris": [REDIRECT]}
            body = json.dumps({**described, "token_endpoint_auth_method": "none"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Write nothing to standard error."""

    server = ThreadedServer(Handler, certificate=certificate)
    url = f"https://{HOST}:{server.server_port}/client.json"
    with server:
        yield url, certificate.certificate
