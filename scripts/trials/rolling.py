"""Restart replicas, one after the other, behind nginx and under load, and count the requests that fail.

    .venv/bin/python -m scripts.trials.rolling --restarts 9 --clients 8

nginx has the shipped configuration: it tries another replica if one refuses a connection, and retries idempotent
requests. Clients GET by JWT and by key, and POST new keys, on kept connections. The database is PostgreSQL. Exits with
1 if a request fails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.rolling_restart import rolling


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--restarts", type=int, default=9, help="one replica after the other (default 9)")
    parser.add_argument("--clients", type=int, default=8, help="for each kind of GET (default 8)")
    options = parser.parse_args()
    with LiveIssuer() as issuer, BreakablePostgres() as postgres, tempfile.TemporaryDirectory() as place:
        wrong = list(rolling(options.restarts, options.clients, place=Path(place), issuer=issuer, postgres=postgres))
    print("\n".join(f"FAULT {fault}" for fault in wrong) or "no failed request")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
