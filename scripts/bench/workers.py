"""What several workers add: AuthZEN evaluations per second with one worker and with several, on all cores.

    .venv/bin/python -m scripts.bench.workers [--workers 4] [--rounds 5] [--seconds 5] [--database sqlite]

The load generator and PostgreSQL take the same cores, so that for each round the processor time of a request is printed
for the workers, for PostgreSQL, for the load generator and for all else, and the share of the time in which the cores
were idle. Without idle time no worker waits for a lock, a connection or a commit. The last line has what several
workers can reach here: all cores, less what PostgreSQL and the load generator take of them. Needs `wrk`, and a machine
with no other work.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from scripts.bench.measuring import Options, load, spread
from scripts.bench.request_cost import BODY, WRITTEN_SECONDS
from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, Server

_CONNECTIONS = 32
_TICKS = os.sysconf("SC_CLK_TCK")  # per second
_WORKERS, _REST = "the workers", "all else"


@dataclass(frozen=True)
class _Round:
    rate: float
    micros: dict[str, float]  # the processor time of a request by who takes it
    idle: float  # the share of the time of all cores

    @property
    def reachable(self) -> float:
        """How many times as many requests as one worker, which has a core, all cores can serve."""
        others = sum(micros for name, micros in self.micros.items() if name not in (_WORKERS, _REST))
        return (os.cpu_count() or 1) / (1 + others / self.micros[_WORKERS])


def main() -> None:
    """Print each round, and the ratio of the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=4, help="compared with one (default 4)")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load in a round (default 5)")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="postgresql")
    given = parser.parse_args()
    found: dict[int, list[float]] = {1: [], given.workers: []}
    reachable: list[float] = []
    with ExitStack() as stack:
        issuer = stack.enter_context(LiveIssuer())
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        postgres = stack.enter_context(BreakablePostgres()) if given.database == "postgresql" else None
        token = issuer.token(permissions=["decisions:evaluate"], exp=2**33)
        servers = {
            workers: stack.enter_context(_server(place / str(workers), issuer, workers, postgres)) for workers in found
        }
        for number in range(given.rounds + 1):
            for workers, server in servers.items():
                measured = _measure(server, token, Options(seconds=given.seconds), postgres)
                if number:  # the first fills caches
                    found[workers].append(measured.rate)
                    if workers == given.workers:
                        reachable.append(measured.reachable)
                    times = ", ".join(f"{name} {micros:.0f}" for name, micros in measured.micros.items())
                    print(
                        f"{workers} workers {measured.rate:8.0f}/s   µs: {times}   idle {measured.idle:.0%}", flush=True
                    )
    one, several = (spread(rates).median for rates in found.values())
    print(f"{given.workers} workers of one: {several / one:.2f}, and at most {spread(reachable).median:.2f} here")


def _server(directory: Path, issuer: LiveIssuer, workers: int, postgres: BreakablePostgres | None) -> Server:
    command = (sys.executable, str(AUTHZ), "serve", "--port", "0", "--workers", str(workers))
    found = Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command, access_log="false")
    if postgres:
        found.env["AUTHZ_DATABASE_URL"] = postgres.new()
    return found


def _measure(server: Server, token: str, options: Options, postgres: BreakablePostgres | None) -> _Round:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    assert server.process
    own = {_WORKERS: _family(server.process.pid)}
    if postgres:
        own["PostgreSQL"] = _family(postgres.pid)
    before, busy, idle = {name: _spent(pids) for name, pids in own.items()}, *_cores()
    ended = _of_ended_children()
    started = time.monotonic()
    sent = load(options, f"{server.url}/access/v1/evaluation", headers, BODY, _CONNECTIONS)
    now_idle = _cores()[1]
    waited = time.monotonic() - started
    time.sleep(WRITTEN_SECONDS)
    micros = {name: (_spent(pids) - before[name]) / sent.requests * 1e6 for name, pids in own.items()}
    micros["the load"] = (_of_ended_children() - ended) / sent.requests * 1e6
    micros[_REST] = (_cores()[0] - busy) / sent.requests * 1e6 - sum(micros.values())
    return _Round(sent.rate, micros, (now_idle - idle) / waited / (os.cpu_count() or 1))


def _family(pid: int) -> set[int]:
    """A process with its descendants."""
    children = (Path(f"/proc/{pid}/task") / str(pid) / "children").read_text().split()
    return {pid}.union(*(_family(int(child)) for child in children))


def _spent(pids: Iterable[int]) -> float:
    """The processor time of processes in seconds (proc(5), stat)."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(ticks) for fields in stats for ticks in fields[11:13]) / _TICKS


def _of_ended_children() -> float:
    """The processor time of children that have ended in seconds: those of load generators."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _cores() -> tuple[float, float]:
    """The seconds in which all cores were busy and idle so far (proc(5), /proc/stat)."""
    ticks = [int(number) for number in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / _TICKS, idle / _TICKS


if __name__ == "__main__":
    main()
