"""The site of an app: a page that opens a pop-up, and the address to which answers are sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qsl, urlsplit

from tests.support.threaded_server import ThreadedServer

# As pop-up clients do: the answer is given to the window that opened the pop-up.
_OPENER = b"<!doctype html><title>App</title><script>addEventListener('message', e => document.title = e.data)</script>"
_ANSWER = b"<!doctype html><title>Back</title><script>if (window.opener) opener.postMessage('answered', '*');</script>"


class Site:
    """A running site, and the answers that it got."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.redirect = f"{self.url}/cb"
        self.home = f"http://localhost:{port}/home"  # another origin
        self.answers: list[dict[str, str]] = []


@contextmanager
def sample_site(*, leads_on: bool = False) -> Iterator[Site]:
    """Start a site; with `leads_on` its address for answers redirects to another of its hosts."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            if url.path == "/cb":
                site.answers.append(dict(parse_qsl(url.query)))
            self.send_response(303 if leads_on and url.path == "/cb" else 200)
            self.send_header("Content-Type", "text/html")
            self.send_header("Location", site.home)
            self.end_headers()
            self.wfile.write(_ANSWER if url.path in ("/cb", "/home") else _OPENER)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Write nothing to standard error."""

    server = ThreadedServer(Handler)
    site = Site(server.server_port)
    with server:
        yield site
