"""Serve through a real pgbouncer: prepare the database, decide, publish, follow and revoke, under load.

    .venv/bin/python -m scripts.trials.pooler --seconds 30

In session and in transaction mode, with fewer server connections in transaction mode than the servers have. No request
may fail, and a second server follows policies and revocations without notifications. Then pgbouncer is killed and
started again, and 5 seconds later all must work. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.pooler import Mode, pooled


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of load, in each mode (default 30)")
    options = parser.parse_args()
    wrong: list[str] = []
    modes: tuple[Mode, ...] = ("session", "transaction")
    with LiveIssuer() as issuer, BreakablePostgres() as postgres:
        for mode in modes:
            with tempfile.TemporaryDirectory() as place:
                wrong += pooled(mode, options.seconds, issuer=issuer, postgres=postgres, place=Path(place))
    print("\n".join(f"FAULT {fault}" for fault in wrong) or "no fault")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
