"""A site of static files on an origin of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

from tests.support.threaded_server import ThreadedServer


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
    with ThreadedServer(partial(_Handler, directory=str(directory))) as server:
        yield StaticSite(server.url, directory)
