"""The time from the start of the process to the first answer, with the shipped policy."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from scripts.bench.measuring import Options, Row, compared
from scripts.bench.served import PATH, server
from tests.support.issuer import LiveIssuer
from tests.support.server import prepared_database


def measure(options: Options) -> Iterator[Row]:
    """Measure ours compared with the same server with a single handler."""
    prepared_database()
    took: dict[str, list[float]] = {"protected": [], "unprotected": []}
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as place:
        for number in range(options.rounds):
            for kind, found in took.items():
                to_start = server(Path(place, f"{kind}{number}"), issuer, kind, 1)
                started = time.perf_counter()
                with to_start:
                    path = "/healthz" if kind == "protected" else PATH
                    httpx.get(to_start.url + path).raise_for_status()
                    found.append(time.perf_counter() - started)
    other = ("one Litestar handler", took["unprotected"])
    yield compared("start", "to the first answer", "s", ours=took["protected"], other=other, goal="under 1.5 s")
