"""Kill processes that log decisions, and compare the log with what they reported and with its hash chain.

    .venv/bin/python -m scripts.trials.log_kills --kills 100 --seed 1

Two processes share a database, on SQLite and on PostgreSQL. They log more decisions than their queues hold, seal them,
and delete what exceeds a megabyte, and SIGKILL comes at random moments. Afterwards no row may be without its key, no
decision that was written may be missing, each drop that was recorded must be there, and the signed chain must verify,
with the heads that were noted between the kills. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from app.db.migrate import upgrade
from tests.support.databases import KINDS, Postgres
from tests.support.trials.log_kills import log_kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="kills on each database (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="which moments (default 1)")
    parser.add_argument("--database", choices=KINDS, help="only on this one")
    options = parser.parse_args()
    wrong = 0
    for kind in KINDS if options.database is None else (options.database,):
        print(kind, flush=True)
        postgres = Postgres() if kind == "postgresql" else None
        try:
            with tempfile.TemporaryDirectory() as directory:
                url = postgres.new(prepared=True) if postgres else f"sqlite:///{directory}/authz.db"
                asyncio.run(upgrade(url))
                for fault in log_kills(options.kills, options.seed, url=url, place=Path(directory)):
                    wrong += 1
                    print(f"FAULT {fault}", flush=True)
        finally:
            if postgres:
                postgres.stop()
    print("no fault" if not wrong else f"{wrong} faults")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
