"""The cost of a decision by number of rules: cached, uncached, and by plain pycasbin.

    .venv/bin/python -m scripts.bench.decide            the table
    .venv/bin/python -m scripts.bench.decide --json     the same for programs

Medians of interleaved rounds, with their minimum and maximum; the ratios are from this one run.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from statistics import median

from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.model import TEXT
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.worlds import Plain

SIZES = (40, 400, 4_000, 40_000)
GRANTS = (1, 16)
Seconds = float


def snapshot_of(rules: int, when: str = "") -> tuple[Snapshot, Seconds]:
    """A policy of `size` rules over as many routes, each with a condition if one is given.

    Also returns the seconds to load, check and build it.
    """
    cell = f', "{when}"' if when else ""
    permissions = [f"r{number}:read" for number in range(max(rules // 10, 16))]
    lines = [
        f"p, {permissions[n % len(permissions)]}, /api/v{n}/things/{{id}}, GET, allow{cell}\n" for n in range(rules)
    ]
    entries = "".join(f'["{name}"]\ntitle = "t"\ngrants = "g"\n' for name in permissions)
    files = {
        "model.conf": f"{TEXT}# end\n".encode(),
        "permissions.toml": f"{entries}# end\n".encode(),
        "rules.csv": ("".join(lines) + "# end\n").encode(),
    }
    table = RouteTable(Route(f"/api/v{n}/things/{{id}}", "GET") for n in range(rules))
    started = time.perf_counter()
    snapshot = build(parse(from_bytes(files)), table)
    return snapshot, time.perf_counter() - started


def timed(work: Callable[[], object], times: int) -> Seconds:
    """Processor seconds per call, over many calls, so that other load does not count."""
    started = time.thread_time()
    for _ in range(times):
        work()
    return (time.thread_time() - started) / times


def first(snapshot: Snapshot, held: frozenset[str], rules: int, times: int) -> Seconds:
    """Processor seconds of an uncached decision, each about another route."""
    snapshot._memo.clear()
    resources = [f"/api/v{n % rules}/things/{{id}}" for n in range(times)]
    started = time.thread_time()
    for resource in resources:
        snapshot.decide(held, resource, "GET")
        snapshot._memo.clear()
    return (time.thread_time() - started) / times


def measure(rounds: int) -> list[dict[str, object]]:
    """Each size and number of grants, in interleaved rounds."""
    worlds = []
    for rules in SIZES:
        snapshot, seconds = snapshot_of(rules)
        print(f"{rules} rules: loaded, checked and built in {seconds:.2f} s", file=sys.stderr)
        worlds.append((rules, snapshot, Plain(snapshot), seconds))
    figures: dict[tuple[int, int, str], list[Seconds]] = {}
    for number in range(rounds):
        for rules, snapshot, plain, _ in worlds:
            for grants in GRANTS:
                held = frozenset(["anyone", *(f"r{n}:read" for n in range(grants))][: grants + 1])
                resource = "/api/v0/things/{id}"
                effective = snapshot.effective(held)
                snapshot.decide(held, resource, "GET")
                decide, allows = snapshot.decide, plain.allows
                kinds = {
                    "remembered": timed(lambda d=decide, h=held, r=resource: d(h, r, "GET"), 50_000),  # type: ignore[misc]
                    "first": first(snapshot, held, rules, 400),
                    "pycasbin": timed(
                        lambda a=allows, e=effective, r=resource: a(e, r, "GET", {}),  # type: ignore[misc]
                        max(1, 400 // rules),
                    ),
                }
                for kind, seconds in kinds.items():
                    figures.setdefault((rules, grants, kind), []).append(seconds)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return [
        {"rules": rules, "grants": grants, "kind": kind, "median": median(found), "min": min(found), "max": max(found)}
        for (rules, grants, kind), found in figures.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    rows = measure(options.rounds)
    by = {(row["rules"], row["grants"], row["kind"]): float(str(row["median"])) for row in rows}
    ratios = {
        f"first decision, 4000 rules against 40, {grants} grants": by[4_000, grants, "first"] / by[40, grants, "first"]
        for grants in GRANTS
    }
    ratios |= {
        f"pycasbin against a first decision at {rules} rules": by[rules, 1, "pycasbin"] / by[rules, 1, "first"]
        for rules in SIZES
    }
    ratios |= {
        f"pycasbin against a remembered decision at {rules} rules": by[rules, 1, "pycasbin"]
        / by[rules, 1, "remembered"]
        for rules in SIZES
    }
    machine = f"{platform.processor() or platform.machine()}, Python {platform.python_version()}"
    versions = f"pycasbin {version('pycasbin')}"
    if options.json:
        print(json.dumps({"machine": machine, "versions": versions, "rows": rows, "ratios": ratios}, indent=2))
        return 0
    print(f"{machine}, {versions}; microseconds\n")
    print(f"{'rules':>6} {'grants':>6}  {'decision':<11} {'median':>10} {'min':>10} {'max':>10}")
    for row in rows:
        shown = [f"{float(str(row[name])) * 1e6:>10.2f}" for name in ("median", "min", "max")]
        print(f"{row['rules']:>6} {row['grants']:>6}  {row['kind']:<11} {' '.join(shown)}")
    print()
    for name, ratio in ratios.items():
        print(f"{ratio:>10.2f}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
