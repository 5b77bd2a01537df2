"""40,000 rules loaded beside an event loop: seconds, the longest pause of the loop, and memory over many reloads."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from app.asgi import handlers
from app.asgi import route_table as shipped_routes
from app.policy.live import LivePolicy
from app.policy.routes import Route, RouteTable
from scripts.bench.measuring import Options, Row, spread
from scripts.bench.served import write_policy


def measure(options: Options) -> Iterator[Row]:
    """In a process of its own, whose memory is nothing else's."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield from pool.submit(_measured, options).result()


def _measured(options: Options) -> list[Row]:
    return asyncio.run(_reloads(options))


async def _reloads(options: Options) -> list[Row]:
    assert handlers()
    rules, times = (400, 3) if options.tiny else (40_000, 100)
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place, "policies")
        write_policy(directory, rules)
        table = RouteTable([*shipped_routes().routes, Route("/bench/{number}", "GET")])
        before = _megabytes()
        live = LivePolicy(directory, table)
        loaded = _megabytes()
        seconds, pauses, after = [], [], []
        file = directory / "bench.csv"
        text = file.read_text()
        for number in range(times):
            file.write_text(f"# {number}\n{text}")
            started = time.perf_counter()
            pause = await _longest_pause(live)
            if number < options.rounds:
                seconds.append(time.perf_counter() - started)
                pauses.append(pause * 1000)
            gc.collect()
            after.append(_megabytes())
    return [
        Row("reload", f"{rules:,} rules loaded, checked, built", "s", spread(seconds), "under 2 s", rules),
        Row("reload", "longest pause of the event loop", "ms", spread(pauses), "at most 20 ms"),
        Row("reload", "memory of the process, once loaded", "MB", spread([loaded]), "under 150 MB"),
        Row("reload", f"memory gained from load to reload {times}", "MB", spread([after[-1] - loaded]), "at most 5 MB"),
        Row("reload", "memory of the policy itself", "MB", spread([loaded - before]), ""),
    ]


async def _longest_pause(live: LivePolicy) -> float:
    reload = asyncio.create_task(live.reload())
    longest, last = 0.0, time.perf_counter()
    while not reload.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    outcome = await reload
    if outcome.outcome == "refused":
        raise RuntimeError("the policy was refused: " + "; ".join(map(str, outcome.faults[:3])))
    return longest


def _megabytes() -> float:
    """Resident now (proc(5), VmRSS)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not say how much memory a process has")
