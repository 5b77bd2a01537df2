"""Measure the time from a change in the editor to the findings of `authz lsp`.

    .venv/bin/python -m scripts.bench.lsp --rows 5000 --changes 100

A policy of so many rows is open; each change types a character in one of its rows, half of them faulty. Prints the
median and the 95th percentile of the time from `didChange` to `publishDiagnostics`, and the processor time of the
server for each change. Exits with 1 if the 95th percentile is over 150 ms.
"""

from __future__ import annotations

import argparse
import os
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
_TICKS = os.sysconf("SC_CLK_TCK")


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
    half, most = seconds[len(seconds) // 2], seconds[len(seconds) * 95 // 100]
    print(f"{options.rows} rows in {files} files, {len(seconds)} changes:")
    print(f"  didChange to publishDiagnostics: median {1000 * half:.0f} ms, p95 {1000 * most:.0f} ms")
    print(f"  processor time of the server: {1000 * processor:.0f} ms a change")
    return int(most > GOAL_SECONDS)


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


def measured(server: LspProcess, path: Path, changes: int) -> tuple[list[float], float]:
    """The sorted seconds of each change, and the processor seconds of the server for one."""
    text = path.read_text()
    uri = server.open(path, text)
    server.diagnostics(uri)
    lines = text.split("\n")
    taken = []
    before = processor_seconds(server.pid)
    for number in range(changes):
        at = 1 + number % (len(lines) - 3)
        typed = lines[at] + ("x" if number % 2 else " ")
        changed = "\n".join([*lines[:at], typed, *lines[at + 1 :]])
        start = time.perf_counter()
        server.change(uri, changed)
        server.diagnostics(uri)
        taken.append(time.perf_counter() - start)
    return sorted(taken), (processor_seconds(server.pid) - before) / changes


def processor_seconds(pid: int) -> float:
    """The processor time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    sys.exit(main())
