"""Runs the conformance runner of the Model Context Protocol against `authz dev --mcp`."""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

import httpx

from tests.support.dev_server import DevServer
from tests.support.node_packages import NODE, node_packages
from tests.support.server import ROOT, free_port
from tests.support.threaded_server import ThreadedServer

PROJECT = ROOT / "scripts" / "trials" / "conformance_runner"
# Those for a server that need no tool, prompt or resource which only the runner's own server has.
SERVER_SCENARIOS = (
    ("server-initialize", "2025-11-25"),
    ("ping", "2025-11-25"),
    ("tools-list", "2025-06-18"),
    ("tools-list", "2025-11-25"),
    ("tools-list", "2026-07-28"),
    ("dns-rebinding-protection", "2025-11-25"),
    ("dns-rebinding-protection", "2026-07-28"),
    ("http-header-validation", "2026-07-28"),
    ("server-stateless", "2026-07-28"),
)
_SECONDS = 90
_CONSENT = re.compile(r"http://\S+/oauth/authorize\?\S+")
_LOCAL = ("connection", "content-length", "transfer-encoding")  # headers that belong to one connection


@dataclass(frozen=True, slots=True)
class Conformance:
    """What a scenario printed, and whether all its checks passed that were expected to."""

    scenario: str
    passed: bool
    output: str


def authorization_scenarios(dev: DevServer, allow: Callable[[str], None]) -> Conformance:
    """Run all scenarios for an authorization server. `allow` opens an address in a browser and allows what it asks."""
    metadata = {"client_name": "Conformance", "redirect_uris": ["http://127.0.0.1/callback"]}
    registered = httpx.post(f"{dev.url}/oauth/register", json=metadata | {"token_endpoint_auth_method": "none"}).json()
    words = ["authorization", "--url", dev.url, "--client-id", registered["client_id"], "--port", str(free_port())]
    lines: list[str] = []
    run = [*_runner(), *words, "--resource", dev.address("MCP server")]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            if found := _CONSENT.search(line):
                allow(found[0])
    return Conformance("authorization", process.returncode == 0, "".join(lines))


def server_scenarios(dev: DevServer, token: str) -> Iterator[Conformance]:
    """Run scenarios for a server. The runner sends no token, so each request passes a gateway that adds this one."""
    with _adding(token, dev.url.removeprefix("http://")) as origin:
        for scenario, version in SERVER_SCENARIOS:
            words = ["server", "--url", f"{origin}/mcp", "--scenario", scenario, "--spec-version", version]
            expected = ["--expected-failures", str(PROJECT / "not_applicable.yaml")]
            done = subprocess.run(
                [*_runner(), *words, *expected], capture_output=True, text=True, timeout=_SECONDS, check=False
            )
            yield Conformance(f"{scenario} {version}", done.returncode == 0, done.stdout + done.stderr)


def _runner() -> list[str]:
    return [str(NODE), str(node_packages(PROJECT) / "node_modules" / ".bin" / "conformance")]


@contextmanager
def _adding(token: str, target: str) -> Iterator[str]:
    """Forward requests to `target` with a token; yield the address at which they arrive."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            sent = {name: value for name, value in self.headers.items() if name.lower() not in _LOCAL}
            connection = http.client.HTTPConnection(target, timeout=_SECONDS)
            connection.request(self.command, self.path, body, sent | {"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            content = answer.read()
            connection.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _LOCAL:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            self.do_POST()

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Write nothing to standard error."""

    with ThreadedServer(Handler) as server:
        yield server.url
