"""Measures both sides in turn on one core, with the load from another."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.support.server import Server

ROOT = Path(__file__).parents[2]
CONNECTIONS = 16
_PROCESS_CLOCK = 2  # in the id of a clock, for the processor time of a process: clock_getcpuclockid(3)
_IDLE_SECONDS = 0.3  # over which the idle time of a core is measured
# A goal with a unit is for our figure, without one for the ratio.
_GOAL = re.compile(r"(at least|at most|under) ([0-9.]+)(?: (µs|ms|s|MB)\b)?")


# For wrk: each request has the next key of a file, from where the last load stopped.
_TURNS = """
local place, keys, number = "{0}.place", {{}}, 0
for key in io.lines("{0}") do keys[#keys + 1] = "Bearer " .. key end
local left = io.open(place)
if left then number = left:read("n") or 0; left:close() end
request = function()
  number = number % #keys + 1
  if number % 20 == 0 then local now = io.open(place, "w"); now:write(number); now:close() end
  return wrk.format("GET", nil, {{["Authorization"] = keys[number]}})
end
"""


@dataclass(frozen=True)
class Options:
    """`tiny` only checks that the parts work, with counts too small for a measurement."""

    rounds: int = 5
    seconds: float = 3.0
    tiny: bool = False
    load: str = "wrk"


@dataclass(frozen=True)
class Spread:
    """The median, minimum and maximum of the rounds."""

    median: float
    min: float
    max: float


@dataclass(frozen=True)
class Row:
    """A line of the table: the measurement, the comparison, and the goal for `ratio` or, without one, for `ours`.

    `size` is a number of rules or of keys, for the charts.
    """

    part: str
    what: str
    unit: str
    ours: Spread | None
    goal: str
    size: int | None = None
    beside: str = ""
    other: Spread | None = None
    ratio: Spread | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the medians reach the goal; None without a goal or a measurement."""
        told: list[bool] = []
        for kind, limit, unit in _GOAL.findall(self.goal):
            held = self.ours if unit else self.ratio
            if held:
                told.append(held.median >= float(limit) if kind == "at least" else held.median <= float(limit))
        return all(told) if told else None

    def as_json(self) -> dict[str, object]:
        """The row as JSON."""
        return asdict(self) | {"met": self.met}


def spread(values: Sequence[float]) -> Spread:
    """The spread of the rounds."""
    return Spread(median(values), min(values), max(values))


def ratios(ours: Sequence[float], others: Sequence[float]) -> Spread:
    """The ratios of our figures to the others, round by round, since a machine drifts between rounds."""
    return spread([mine / other for mine, other in zip(ours, others, strict=True)])


def compared(
    part: str,
    what: str,
    unit: str,
    *,
    ours: Sequence[float],
    other: tuple[str, Sequence[float]],
    goal: str,
    size: int | None = None,
    note: str = "",
) -> Row:
    """A row with a ratio."""
    beside, others = other
    return Row(part, what, unit, spread(ours), goal, size, beside, spread(others), ratios(ours, others), note)


def absent(part: str, what: str, why: str) -> Row:
    """A row for a failed measurement."""
    return Row(part, what, "", None, "", note=f"not measured: {why}")


def in_turn(rounds: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure each side once per round."""
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            found[name].append(side())
    return found


def micros(work: Callable[[], object], times: int) -> float:
    """Processor microseconds per call, over many calls."""
    started = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - started) / times * 1e6


def cores() -> tuple[int, int]:
    """The core of the servers and that of the load; the same if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[-1], usable[0]


def pinned(*command: str) -> tuple[str, ...]:
    """A command on the servers' core."""
    return ("taskset", "-c", str(cores()[0]), *command)


@dataclass(frozen=True)
class Load:
    """Requests, their rate per second, the 99th percentile in milliseconds, and the load of the generator's core."""

    requests: int
    rate: float
    p99: float
    busy: float


def loader(options: Options) -> str:
    """The load generator: wrk if it is present and requested."""
    return "wrk" if options.load == "wrk" and shutil.which("wrk") else "own"


def load(
    options: Options,
    url: str,
    headers: Mapping[str, str] = MappingProxyType({}),
    body: str = "",
    connections: int = CONNECTIONS,
    *,
    keys: Path | None = None,
) -> Load:
    """Send requests as fast as they are answered, with the `keys` of a file. Raises RuntimeError unless all get 200."""
    if not options.tiny:
        _wait_until_idle()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if loader(options) == "wrk":
        script = f"wrk.method = 'POST'\nwrk.body = [[{body}]]\n" if body else _TURNS.format(keys) if keys else ""
        requests, rate, p99 = _wrk(options, url, lines, script, connections)
    else:
        requests, rate, p99 = _own(options, url, lines, body, connections)
    if not requests:
        raise RuntimeError(f"{url} answered nothing in {options.seconds:g} seconds; give more with --seconds")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Load(requests, rate, p99, spent / options.seconds)


def _wait_until_idle() -> None:
    """Wait until the servers' core is idle, for 30 seconds at most: another server may still write and seal its log."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        before = _idle_ticks()
        time.sleep(_IDLE_SECONDS)
        if _idle_ticks() - before > 0.85 * _IDLE_SECONDS * os.sysconf("SC_CLK_TCK"):
            return


def _idle_ticks() -> int:
    """The idle time of the servers' core so far (proc(5), /proc/stat)."""
    lines = Path("/proc/stat").read_text().splitlines()
    return next(int(line.split()[4]) for line in lines if line.startswith(f"cpu{cores()[0]} "))


def processor_seconds(started: Server) -> float:
    """The processor time of all threads of a server so far, including those that have ended."""
    assert started.process
    return time.clock_gettime((~started.process.pid << 3) | _PROCESS_CLOCK)


def resident(started: Server) -> float:
    """The resident memory of a server in MB (proc(5), VmRSS)."""
    assert started.process
    for line in Path(f"/proc/{started.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not say how much memory a process has")


def _wrk(options: Options, url: str, lines: Sequence[str], script: str, connections: int) -> tuple[int, float, float]:
    # It accepts only whole seconds.
    # With thousands of rules some answers of the peers take longer than its timeout of two seconds.
    words = ["-t1", f"-c{connections}", f"-d{max(1, round(options.seconds))}s", "--latency", "--timeout", "30s"]
    words += [word for line in lines for word in ("-H", line)]
    if script:
        file = ROOT / ".authz" / "bench" / "ask.lua"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(script)
        words += ["-s", str(file)]
    command = ["taskset", "-c", str(cores()[1]), "wrk", *words, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"not every answer of {url} was 200:\n{said}")
    requests, rate = re.search(r"([0-9]+) requests in", said), re.search(r"Requests/sec: +([0-9.]+)", said)
    p99 = re.search(r"99% +([0-9.]+)(us|ms|s)\b", said)
    if requests is None or rate is None or p99 is None:
        raise RuntimeError(f"wrk printed an unknown format:\n{said}")
    return int(requests[1]), float(rate[1]), float(p99[1]) * {"us": 0.001, "ms": 1, "s": 1000}[p99[2]]


def _own(options: Options, url: str, lines: Sequence[str], body: str, connections: int) -> tuple[int, float, float]:
    command = ["taskset", "-c", str(cores()[1]), sys.executable, "-m", "scripts.bench.measuring", url, body, *lines]
    env = {**os.environ, "SECONDS_OF_LOAD": str(options.seconds), "CONNECTIONS": str(connections)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    requests, rate, p99 = done.stdout.split()
    return int(requests), float(rate), float(p99)


async def _ask_until(ends: float, address: tuple[str, int], request: bytes, took: list[float]) -> None:
    reader, writer = await asyncio.open_connection(*address)
    while (started := time.perf_counter()) < ends:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not every answer was 200: {head[:80]!r}")
        length = re.search(rb"content-length: *([0-9]+)", head, re.IGNORECASE)
        await reader.readexactly(int(length[1]) if length else 0)
        took.append(time.perf_counter() - started)
    writer.close()


async def _generate(url: str, body: str, lines: Sequence[str], seconds: float, connections: int) -> None:
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    head = [f"{'POST' if body else 'GET'} /{path} HTTP/1.1", f"Host: {host}", *lines, f"Content-Length: {len(body)}"]
    request = ("\r\n".join(head) + "\r\n\r\n" + body).encode()
    took: list[float] = []
    ends = time.perf_counter() + seconds
    await asyncio.gather(*(_ask_until(ends, (name, int(port)), request, took) for _ in range(connections)))
    print(len(took), len(took) / seconds, quantiles(took, n=100)[-1] * 1000)


if __name__ == "__main__":
    how = float(os.environ["SECONDS_OF_LOAD"]), int(os.environ["CONNECTIONS"])
    asyncio.run(_generate(sys.argv[1], sys.argv[2], sys.argv[3:], *how))
