"""Attack a server, and measure the latency of a known caller.

    .venv/bin/python -m scripts.trials.abuse --server both --database both --seconds 10

The server has one core, and everything that sends requests another. In each round an attack runs for `--seconds`,
then an equal rate of valid requests on as many connections. Meanwhile a known caller sends requests at a constant
rate, by token and by key. The table has medians of the rounds, in milliseconds. Exits with 1 if the known caller's
99th percentile more than doubles under an attack, if one of its requests fails or is not in the decision log, if an
attack gets a forbidden answer, or if the server's memory grows by 50 MB.

`-spread` are attacks from very many addresses, through a trusted proxy, so that no budget of an address is spent.
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
from tests.support.trials.abuse import HEAD, MAX_RATIO, Line, Trial
from tests.support.trials.abuse_attacks import ATTACKS, attacks
from tests.support.trials.abuse_server import LOAD_CORE, attacked


def main() -> int:
    """Run the trial, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=(*get_args(ServerName), "both"), default="both", help="(default both)")
    parser.add_argument("--database", choices=(*get_args(Kind), "both"), default="both", help="(default both)")
    parser.add_argument("--attack", choices=ATTACKS, action="append", help="which one (default all); repeatable")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each side of a round (default 10)")
    parser.add_argument("--rounds", type=int, default=3, help="of each attack (default 3)")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})  # also of PostgreSQL, which is usually on another machine
    faults = []
    for database in get_args(Kind) if chosen.database == "both" else (chosen.database,):
        for server in get_args(ServerName) if chosen.server == "both" else (chosen.server,):
            print(f"\n{server}, {database}\n{HEAD}", flush=True)
            with ExitStack() as stack:
                place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                url = f"sqlite:///{place / DATABASE}"
                if database == "postgresql":
                    postgres = Postgres()
                    stack.callback(postgres.stop)
                    url = postgres.new(prepared=True)
                issuer = stack.enter_context(LiveIssuer())
                started, callers = stack.enter_context(attacked(server, place, issuer, url))
                trial, every = Trial(started, callers), attacks(callers)
                trial.good(100, 2)  # fills caches
                for name in chosen.attack or every:
                    line = Line(every[name])
                    for _ in range(chosen.rounds):
                        trial.attack(line, chosen.seconds)
                        trial.ask(line, chosen.seconds)
                    print(line, flush=True)
                    faults += [f"{server}, {database}: {fault}" for fault in line.faults()]
                    if line.ratio > MAX_RATIO:
                        faults.append(f"{server}, {database}: {name}: it waits {line.ratio:.2f} times as long")
    print("\n".join(faults) or "all bounds hold")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
