"""Kill servers that deliver their logs to a SIEM, and compare what arrived with the database.

    .venv/bin/python -m scripts.trials.siem --kills 30 --seed 1

Two servers share a database, on SQLite and on PostgreSQL. Requests are decided and keys issued, SIGKILL comes at random
moments, and a part of the receiver's answers are errors. Afterwards each record of the database has arrived, in the
order of the log, and what arrived again is the same. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from app.db.migrate import upgrade
from tests.support.databases import KINDS, Postgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.siem_kills import siem_kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="kills on each database (default 30)")
    parser.add_argument("--seed", type=int, default=1, help="which moments (default 1)")
    parser.add_argument("--database", choices=KINDS, help="only on this one")
    options = parser.parse_args()
    wrong = 0
    for kind in KINDS if options.database is None else (options.database,):
        print(kind, flush=True)
        postgres = Postgres() if kind == "postgresql" else None
        try:
            with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as directory:
                url = postgres.new(prepared=True) if postgres else f"sqlite:///{directory}/authz.db"
                asyncio.run(upgrade(url))
                for fault in siem_kills(options.kills, options.seed, issuer=issuer, url=url, place=Path(directory)):
                    wrong += 1
                    print(f"FAULT {fault}", flush=True)
        finally:
            if postgres:
                postgres.stop()
    print("no fault" if not wrong else f"{wrong} faults")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
