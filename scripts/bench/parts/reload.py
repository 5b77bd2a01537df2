"""40,000 rules reloaded in a process with an event loop: seconds, the longest pause, memory over many reloads, and the
latency of requests."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from app.assembly import route_table as shipped_routes
from app.handlers import handlers
from app.policy.analysis.findings import find
from app.policy.analysis.reach import reach
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.live import LivePolicy, build
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import use_one_heap
from app.policy.language.load import load as load_policy
from app.policy.routing.routes import Route, RouteTable
from scripts.bench.measuring import Load, Options, Row, compared, load, spread
from scripts.bench.served import PATH, server, write_policy
from tests.support.issuer import LiveIssuer

_RULES = {True: 400, False: 40_000}  # by whether it is tiny


def measure(options: Options) -> Iterator[Row]:
    """Measure in a separate process, for its memory, then in one that serves."""
    with tempfile.TemporaryDirectory() as place, ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        directory = Path(place, "policies")
        write_policy(directory, _RULES[options.tiny])  # here, since its memory is not that of a server
        yield from pool.submit(_measured, options, directory).result()
    yield _meanwhile(options)


def _meanwhile(options: Options) -> Row:
    """The p99 of requests during repeated reloads, compared with that without."""
    rules = _RULES[options.tiny]
    found: dict[str, list[Load]] = {"in peace": [], "meanwhile": []}
    with (
        LiveIssuer() as issuer,
        tempfile.TemporaryDirectory() as place,
        server(Path(place, "ours"), issuer, "protected", rules) as ours,
    ):
        token = issuer.token(permissions=["catalog:read"], exp=2**33)
        headers = {"Authorization": f"Bearer {token}"}
        file = ours.policy_dir / "bench.csv"
        text = file.read_text()
        load(options, ours.url + PATH, headers)
        for number in range(options.rounds):
            found["in peace"].append(load(options, ours.url + PATH, headers))
            stop = threading.Event()
            editing = threading.Thread(target=_edit, args=(file, text, number, stop))
            editing.start()
            found["meanwhile"].append(load(options, ours.url + PATH, headers))
            stop.set()
            editing.join()
        swapped = sum(line.get("event") == "policy swapped" for line in ours.log)
    if not swapped:
        raise RuntimeError("none of the policies that were written was taken")
    mine, other = ([each.p99 for each in loads] for loads in (found["meanwhile"], found["in peace"]))
    what = f"p99 of requests while {rules:,} rules are loaded"
    return compared("reload", what, "ms", ours=mine, other=("in peace", other), goal="at most 2 times", size=rules)


def _edit(file: Path, text: str, number: int, stop: threading.Event) -> None:
    """Save the policy every second as another revision, until `stop`."""
    edits = count()
    while not stop.wait(1 if (edit := next(edits)) else 0):
        file.with_suffix(".new").write_text(f"# {number} {edit}\n{text}")
        file.with_suffix(".new").replace(file)


def _measured(options: Options, directory: Path) -> list[Row]:
    use_one_heap()  # as `authz serve` does
    return asyncio.run(_reloads(options, directory))


async def _reloads(options: Options, directory: Path) -> list[Row]:
    assert handlers()
    rules, times = _RULES[options.tiny], 3 if options.tiny else 100
    file, original = directory / "bench.csv", directory.with_name("original.csv")
    shutil.copy(file, original)
    table = RouteTable([*shipped_routes().routes, Route("/bench/{number}", "GET")])
    before = _megabytes()
    started = time.perf_counter()
    live = LivePolicy(directory, table)
    first = [time.perf_counter() - started]
    loaded = _megabytes()
    seconds, pauses, judging, after = [], [], [], []
    for number in range(times):
        # One or two lines before all others, so that each row is on another line than before.
        file.write_text(f"# {number}\n" * (1 + number % 2) + original.read_text())
        started = time.perf_counter()
        reload = asyncio.create_task(live.reload())
        pause = await longest_pause(reload)
        if (outcome := await reload).outcome == "refused":
            raise RuntimeError("the policy was refused: " + "; ".join(map(str, outcome.faults[:3])))
        if number < options.rounds:
            seconds.append(time.perf_counter() - started)
            pauses.append(pause * 1000)
        gc.collect()
        after.append(_megabytes())
    other = build(load_policy(directory), table)
    for _ in range(options.rounds):
        judged = asyncio.create_task(asyncio.to_thread(_judge, other, live.active))
        judging.append(await longest_pause(judged) * 1000)
        await judged
    # A reload reuses parts of the previous policy, so a first load is one without it.
    for _ in range(options.rounds - 1):
        started = time.perf_counter()
        LivePolicy(directory, RouteTable(table.routes))
        first.append(time.perf_counter() - started)
    return [
        Row("reload", f"{rules:,} rules loaded, checked, built", "s", spread(first), "under 2 s", rules),
        Row("reload", f"{rules:,} rules loaded again beside an event loop", "s", spread(seconds), "under 2 s", rules),
        Row("reload", "longest pause of the event loop", "ms", spread(pauses), "at most 20 ms"),
        Row("reload", "longest pause while it is compared and looked through", "ms", spread(judging), "at most 20 ms"),
        Row("reload", "memory of the process, once loaded", "MB", spread([loaded]), "under 150 MB"),
        Row("reload", f"memory gained from load to reload {times}", "MB", spread([after[-1] - loaded]), "at most 3 MB"),
        Row("reload", "memory of the policy itself", "MB", spread([loaded - before]), ""),
    ]


def _judge(old: Snapshot, new: Snapshot) -> None:
    """The analysis before a publish: changes of access, findings, and the reach of a caller."""
    compare(old, new)
    find(new)
    list(reach(new, ["catalog:read"]))


async def longest_pause(task: asyncio.Task[Any]) -> float:
    """The longest pause of the event loop, in seconds, until a task ended."""
    longest, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    return longest


def _megabytes() -> float:
    """The resident memory in MB (proc(5), VmRSS)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the system does not say how much memory a process has")
