"""A site of static files on an origin of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StaticSite:
    """The origin of a site, and the directory of its files."""

    url: str
    directory: Path


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write nothing."""


@contextmanager
def static_site(directory: Path) -> Iterator[StaticSite]:
    """Start a site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(directory)))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield StaticSite(f"http://127.0.0.1:{server.server_port}", directory)
    finally:
        server.shutdown()
        server.server_close()
