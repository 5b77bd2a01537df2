"""The cost of a gateway's request: each door compared with an unprotected Litestar handler.

Starts two real servers without access logs, sends requests in turn, and prints the medians of the rounds. The ratio is
that of the processor time per request, so that it holds on a busy machine; the requests per second are those of this
run. Needs `wrk`, and `/proc`.

    .venv/bin/python -m scripts.bench.gateway [rounds, 3] [seconds, 3]
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.gateway.gateways import SECRET
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

PATH = "/api/v1/teams/7?page=1"


def main() -> None:
    """Print the numbers of one run."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed")
    rounds, seconds = (int(sys.argv[at]) if len(sys.argv) > at else 3 for at in (1, 2))
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as directory:
        plain = Server(
            Path(directory, "plain"),
            jwks_url=issuer.jwks_url,
            issuer=issuer.url,
            command=(sys.executable, "-m", "tests.apps.unprotected"),
        )
        with plain:
            for sample in ("0", "1"):
                authz = Server(
                    Path(directory, f"authz-{sample}"),
                    jwks_url=issuer.jwks_url,
                    issuer=issuer.url,
                    gateway_secrets=SECRET,
                    access_log="false",
                    decision_log_sample=sample,
                )
                with authz:
                    print(f"with {'every allow' if sample == '1' else 'no allow'} in the decision log", flush=True)
                    _compare(plain, authz, _callers(authz, issuer), rounds, seconds)


def _compare(plain: Server, authz: Server, callers: Mapping[str, str], rounds: int, seconds: int) -> None:
    for kind, token in callers.items():
        for name, url, stated in _doors(authz.url):
            headers = [f"Authorization: Bearer {token}", f"X-Gateway-Secret: {SECRET}", *stated]
            pairs = [(_ask(plain, plain.url, [], seconds), _ask(authz, url, headers, seconds)) for _ in range(rounds)]
            bare, asked = (statistics.median(pair[at].micros for pair in pairs) for at in (0, 1))
            ratio = statistics.median(pair[0].micros / pair[1].micros for pair in pairs)
            rate = statistics.median(pair[1].rate for pair in pairs)
            times = f"{asked:5.0f} µs a question, {bare:5.0f} µs unprotected"
            print(f"  {name:8} {kind:4} {times}: {ratio:.2f} of its rate ({rate:.0f} questions/s)", flush=True)


def _callers(authz: Server, issuer: LiveIssuer) -> dict[str, str]:
    jwt = issuer.token(permissions=["catalog:read"])
    with authz.client(jwt) as client:
        body = {"name": "bench", "scopes": ["catalog:read"]}
        key = client.post("/api/v1/api-keys/", json=body).json()["plaintext"]
    return {"jwt": jwt, "key": key}


def _doors(url: str) -> list[tuple[str, str, list[str]]]:
    forwarded = ["X-Forwarded-Method: GET", f"X-Forwarded-Uri: {PATH}", "X-Forwarded-For: 192.0.2.7"]
    original = ["X-Original-Method: GET", f"X-Original-URI: {PATH}", "X-Original-IP: 192.0.2.7"]
    return [
        ("nginx", f"{url}/gateway/nginx", original),
        ("traefik", f"{url}/gateway/traefik", forwarded),
        ("envoy", f"{url}/gateway/envoy{PATH}", []),
    ]


@dataclass(frozen=True)
class Cost:
    """Requests a second, and microseconds of processor time for each."""

    rate: float
    micros: float


def _ask(server: Server, url: str, headers: list[str], seconds: int) -> Cost:
    """Send requests as fast as a server answers; every answer must be 200."""
    options = [word for header in headers for word in ("-H", header)]
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", *options, url]
    before = _processor_seconds(server)
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    spent = _processor_seconds(server) - before
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"not every answer was 200:\n{said}")
    rate, count = re.search(r"Requests/sec: +([0-9.]+)", said), re.search(r"([0-9]+) requests in", said)
    assert rate, said
    assert count, said
    return Cost(float(rate[1]), spent / int(count[1]) * 1e6)


def _processor_seconds(server: Server) -> float:
    """The processor time of the server so far (proc(5), utime and stime)."""
    assert server.process
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
