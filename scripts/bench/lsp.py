"""Measure the time from a change in the editor to the findings of `authz lsp`.

    .venv/bin/python -m scripts.bench.lsp --rows 5000 --changes 100

A policy of so many rows is open; each change types a character in one of its rows, half of them faulty. Prints the
median and the 95th percentile of the time from `didChange` to `publishDiagnostics`, and of the processor time of the
server for that (Linux), which other programs on the machine do not change. Exits with 1 if the 95th percentile of the
time is over 150 ms.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.support.lsp_process import LspProcess
from tests.support.server import ROOT

GOAL_SECONDS = 0.15
FILES = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000, help="how many rows the policy has (default 5000)")
    parser.add_argument("--changes", type=int, default=100, help="how many are measured (default 100)")
    parser.add_argument("--one-file", action="store_true", help="put all rows into one file instead of ten")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "workspace"
        shutil.copytree(ROOT / "policies", root / "policies", ignore=shutil.ignore_patterns("*.md"))
        files = 1 if options.one_file else FILES
        paths = [root / "policies" / f"rows{number}.csv" for number in range(files)]
        for number, path in enumerate(paths):
            path.write_text(rows(options.rows // files, number))
        with LspProcess(root) as server:
            seconds, processor = measured(server, paths[0], options.changes)
            server.stop()
    print(f"{options.rows} rows in {files} files, {len(seconds)} changes:")
    print(f"  didChange to publishDiagnostics: {shown(seconds)}")
    print(f"  processor time of the server:    {shown(processor)}")
    return int(percentile(seconds, 95) > GOAL_SECONDS)


def shown(seconds: list[float]) -> str:
    return f"median {1000 * percentile(seconds, 50):.0f} ms, p95 {1000 * percentile(seconds, 95):.0f} ms"


def percentile(seconds: list[float], percent: int) -> float:
    return sorted(seconds)[len(seconds) * percent // 100]


def rows(count: int, seed: int) -> str:
    """A file of rows as policies have them: routes, things, conditions and roles."""
    chosen = random.Random(seed)
    found = ["# needs, resource, action, effect"]
    for number in range(count):
        kind = chosen.random()
        thing = f"record:r-{seed}-{number}"
        if kind < 0.5:
            found.append(f"p, catalog:read role:team-{number % 40}, {thing}, read, allow")
        elif kind < 0.6:
            found.append(f"p, catalog:write, {thing}, write, allow, subject.org.id == 'org-{number % 50}'")
        elif kind < 0.8:
            found.append(f"g, user:user_{seed}_{number}, role:team-{number % 40}")
        else:
            found.append(f"p, user:user_{seed}_{number}, /api/v1/teams/{{team_id}}, PUT, allow")
    return "\n".join([*found, "# end\n"])


def measured(server: LspProcess, path: Path, changes: int) -> tuple[list[float], list[float]]:
    """The seconds of each change, and the processor seconds of the server for it."""
    text = path.read_text()
    uri = server.open(path, text)
    server.diagnostics(uri)
    lines = text.split("\n")
    taken, processor = [], []
    for number in range(changes):
        at = 1 + number % (len(lines) - 3)
        typed = lines[at] + ("x" if number % 2 else " ")
        changed = "\n".join([*lines[:at], typed, *lines[at + 1 :]])
        start, before = time.perf_counter(), processor_seconds(server.pid)
        server.change(uri, changed)
        server.diagnostics(uri)
        taken.append(time.perf_counter() - start)
        processor.append(processor_seconds(server.pid) - before)
    return taken, processor


def processor_seconds(pid: int) -> float:
    """The processor time of the threads of a process (Linux)."""
    files = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(file.read_text().split()[0]) for file in files) / 1_000_000_000


if __name__ == "__main__":
    sys.exit(main())
