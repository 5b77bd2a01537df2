"""Flood the decision log, and compare how the database grows with the share of the flood.

    .venv/bin/python -m scripts.trials.flood --server both --database both --seconds 600 --max-bytes 200000000

`anonymous` are requests without credentials at full speed, 16 at once on each of 256 connections; `batches` are AuthZEN
batches of 1,000 items that never occur twice. The server has one core, and everything that sends requests another.
Meanwhile a known caller sends `--marked` requests. Exits with 1 if the database grows by the share of the flood, if one
of the marked requests fails or is not in the decision log, or if what was deleted is not recorded.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import get_args

from app.settings import ServerName
from tests.support.databases import Kind, Postgres
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE
from tests.support.trials.abuse_server import LOAD_CORE
from tests.support.trials.flood import FloodName, flood


def main() -> int:
    """Run the trial, and print a line for each flood."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=(*get_args(ServerName), "both"), default="both", help="(default both)")
    parser.add_argument("--database", choices=(*get_args(Kind), "both"), default="both", help="(default both)")
    parser.add_argument("--flood", choices=(*get_args(FloodName), "both"), default="both", help="(default both)")
    parser.add_argument("--seconds", type=float, default=600.0, help="of each flood (default 600)")
    parser.add_argument("--marked", type=int, default=1_000, help="requests of the known caller (default 1,000)")
    parser.add_argument("--max-bytes", type=int, default=200_000_000, help="of the log (default 200,000,000)")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})  # also of PostgreSQL, which is usually on another machine
    faults = []
    for database in get_args(Kind) if chosen.database == "both" else (chosen.database,):
        for server in get_args(ServerName) if chosen.server == "both" else (chosen.server,):
            for name in get_args(FloodName) if chosen.flood == "both" else (chosen.flood,):
                with ExitStack() as stack:
                    place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                    url = f"sqlite:///{place / DATABASE}"
                    if database == "postgresql":
                        postgres = Postgres()
                        stack.callback(postgres.stop)
                        url = postgres.new(prepared=True)
                    flooded = flood(
                        name,
                        chosen.seconds,
                        chosen.marked,
                        server=server,
                        database=url,
                        max_bytes=chosen.max_bytes,
                        issuer=stack.enter_context(LiveIssuer()),
                        place=place,
                    )
                    print(f"{server:8} {database:10} {name:9} {flooded}", flush=True)
                    faults += [f"{server}, {database}, {name}: {fault}" for fault in flooded.faults()]
    print("\n".join(faults) or "all bounds hold")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
