"""Serve for a given time, and check that memory and descriptors do not grow.

    .venv/bin/python -m scripts.bench.soak --minutes 60 --workers 2

During a constant load by JWT and by key, keys are issued and revoked, policies published and rolled back, and users
sign in and out. Memory (RSS of all processes), descriptors and threads are printed at intervals. At the end the second
half is compared with the first: the exit code is 1 if memory grew by more than 10 %, or descriptors at all.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

from tests.console.sessions import sign_in
from tests.history.test_publish import body, files
from tests.support.breakable import BreakablePostgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.load import Load
from tests.support.server import AUTHZ, Server

EVERYTHING = "catalog:read policies:read policies:write decisions:read"
MOST_GROWTH = 1.10
MORE_DESCRIPTORS = 4  # connections come and go
_WARM = 0.2  # the share of the time for filling caches


@dataclass(frozen=True, slots=True)
class Sample:
    """The resources of the processes, `seconds` after the start."""

    seconds: float
    megabytes: float
    descriptors: int
    threads: int
    requests: int


def soak(
    seconds: float, every: float, workers: int, database: str | None, place: Path
) -> tuple[list[Sample], list[str]]:
    """Serve under load, and print each sample; return the samples and the wrong answers."""
    samples: list[Sample] = []
    given = {"database_url": database} if database else {}
    with LiveIssuer() as issuer, ExitStack() as stack:
        command = (sys.executable, str(AUTHZ), "serve", "--port", "0", "--workers", str(workers))
        server = Server(
            place,
            jwks_url=issuer.jwks_url,
            issuer=issuer.url,
            authorized_parties=PARTY,
            command=command,
            access_log="false",
            key_issues_per_minute="0",
            console_client_id="console",
            console_url="http://127.0.0.1",
            **given,  # type: ignore[arg-type]  # a setting
        )
        stack.enter_context(server)
        token = issuer.token(permissions=EVERYTHING, exp=2**33)
        with server.client(token) as client:
            issued = client.post("/api/v1/api-keys/", json={"name": "soak", "scopes": ["catalog:read"]}).json()
        loads = [
            Load(server.url, "/api/v1/teams/", clients=4, headers=_bearer(token), pause=0.005),
            Load(server.url, "/api/v1/teams/", clients=4, headers=_bearer(issued["plaintext"]), pause=0.005),
            Load(server.url, "/api/v1/teams/", clients=1, pause=0.05),
        ]
        for load in loads:
            stack.enter_context(load)
        stop = threading.Event()
        changing = threading.Thread(target=_change, args=(server, token, stop), daemon=True)
        changing.start()
        stack.callback(changing.join, 30)
        stack.callback(stop.set)
        print(f"{'seconds':>8} {'MB':>8} {'descriptors':>12} {'threads':>8} {'requests':>10}", flush=True)
        started = time.monotonic()
        while (passed := time.monotonic() - started) < seconds:
            time.sleep(min(every, seconds - passed))
            asked = sum(load.answers.total() for load in loads)
            samples.append(_sample(server, time.monotonic() - started, asked))
            last = samples[-1]
            print(
                f"{last.seconds:8.0f} {last.megabytes:8.1f} {last.descriptors:12} {last.threads:8} {last.requests:10}",
                flush=True,
            )
    wrong = {status: times for load in loads for status, times in load.answers.items() if status not in (200, 401)}
    lost = sum(len(load.lost) for load in loads)
    return samples, [f"answers {wrong}, {lost} requests lost"] if wrong or lost else []


def growth(samples: Sequence[Sample]) -> list[str]:
    """The growth from the first half to the second, after the caches are full."""
    warm = samples[int(len(samples) * _WARM) :]
    middle = len(warm) // 2
    if not middle:
        return ["there are too few samples to tell"]
    first, second = warm[:middle], warm[middle:]
    found = []
    before, after = (statistics.median(sample.megabytes for sample in half) for half in (first, second))
    print(f"memory {before:.1f} MB in the first half, {after:.1f} MB in the second ({after / before:.3f} times)")
    if after > before * MOST_GROWTH:
        found.append(f"memory grew to {after / before:.2f} times")
    opened, open_now = (statistics.median(sample.descriptors for sample in half) for half in (first, second))
    print(f"descriptors {opened:.0f} in the first half, {open_now:.0f} in the second")
    if open_now > opened + MORE_DESCRIPTORS:
        found.append(f"descriptors grew from {opened:.0f} to {open_now:.0f}")
    return found


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _change(server: Server, token: str, stop: threading.Event) -> None:
    """Create and remove keys, policies and sessions."""
    number = 0
    with server.client(token) as client:
        while not stop.wait(1.0):
            number += 1
            made = client.post("/api/v1/api-keys/", json={"name": f"soak {number}"}).json()["api_key"]
            client.post(f"/api/v1/api-keys/{made['id']}/revoke/")
            sign_in(server).get("/console/keys")
            content = files(server)
            head = content["catalog.csv"].partition("# turn")[0].removesuffix("# end\n")
            content["catalog.csv"] = f"{head}# turn {number % 2}\n# end\n"
            client.post("/api/v1/policies/publish/", json=body(client, content))


def _sample(server: Server, seconds: float, requests: int) -> Sample:
    assert server.process
    kilobytes = descriptors = threads = 0
    for pid in family(server.process.pid):
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":", 1) for line in status.splitlines())
        kilobytes += int(fields["VmRSS"].split()[0])
        threads += int(fields["Threads"])
        descriptors += len(list(Path(f"/proc/{pid}/fd").iterdir()))
    return Sample(seconds, kilobytes / 1024, descriptors, threads, requests)


def memory(pid: int) -> float:
    """The resident memory of a process, in MB (proc(5), VmRSS)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(dict(line.split(":", 1) for line in status.splitlines())["VmRSS"].split()[0]) / 1024


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between two samples (default 10)")
    parser.add_argument("--workers", type=int, default=1, help="of the server (default 1)")
    parser.add_argument("--postgresql", action="store_true", help="on PostgreSQL instead of SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, BreakablePostgres() if options.postgresql else nullcontext() as own:
        database = own.new() if own else None
        samples, wrong = soak(options.minutes * 60, options.every, options.workers, database, Path(place))
    found = [*growth(samples), *wrong]
    print("\n".join(found) or "flat")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
