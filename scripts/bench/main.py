"""Measures what a decision costs, part by part, and writes a table, JSON and charts.

    ./scripts/bench/run                        every part, some minutes each
    ./scripts/bench/run decide http            these
    ./scripts/bench/run --rounds 9 --seconds 5 --out /tmp/bench

Figures are medians of interleaved rounds, with minimum and maximum; ratios are taken round by round, both sides on one
core, with the load generator on another. Results of a part are kept if another fails.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

from scripts.bench.measuring import ROOT, Options, Row, cores, loader
from scripts.bench.table import markdown, write

PARTS = ("decide", "tokens", "http", "gateway", "authzen", "reload", "files", "keys", "start")


def main() -> int:
    """Return 0 if every part was measured, 1 if one failed, 2 for a usage error."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench/run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all without one")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of load on a server in a round (default 3)")
    parser.add_argument("--load", choices=("wrk", "own"), default="wrk", help="the load generator; own without wrk")
    parser.add_argument("--out", type=Path, default=ROOT / ".authz" / "bench", help="directory (default .authz/bench)")
    parser.add_argument("--tiny", action="store_true", help="only see that the parts work; the figures mean nothing")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"unknown part {', '.join(sorted(unknown))}; parts are {', '.join(PARTS)}.")
    if given.rounds < 1 or given.seconds <= 0:
        parser.error("--rounds is 1 or more, --seconds more than 0.")
    options = Options(given.rounds, given.seconds, given.tiny, given.load)
    on, beside = cores()
    how = {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "load generator": loader(options),
        "servers on core": on,
        "load on core": beside,
    }
    rows: list[Row] = []
    failed: dict[str, str] = {}
    for name in given.parts or PARTS:
        started = time.monotonic()
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            for row in importlib.import_module(f"scripts.bench.parts.{name}").measure(options):
                rows.append(row)
                told = f"{row.ours.median:.4g} {row.unit}" if row.ours else row.note
                print(f"  {row.what}: {told}", file=sys.stderr, flush=True)
                write(given.out, rows, failed, how)
        except Exception as error:  # noqa: BLE001  # what others have measured is kept, and the failure told
            failed[name] = f"{type(error).__name__}: {error}".partition("\n")[0]
            print(f"  failed: {error}", file=sys.stderr, flush=True)
        print(f"  {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    write(given.out, rows, failed, how)
    print(markdown(rows, failed, how))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
