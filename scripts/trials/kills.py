"""Kill a server, or PostgreSQL with all of its processes, in the middle of writes, and compare what is left with
what was acknowledged.

    .venv/bin/python -m scripts.trials.kills --replica 100 --database 20 --seed 1

Keys are issued and revoked, by their owners and by an administrator, and policies published, while SIGKILL comes at a
random moment. Afterwards no acknowledged key, revocation, revision or audit row may be lost, and none may be there
without its effect. Exits with 1 when one is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.kills import kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replica", type=int, default=100, help="kills of a server (default 100)")
    parser.add_argument("--database", type=int, default=20, help="kills of PostgreSQL (default 20)")
    parser.add_argument("--seed", type=int, default=1, help="which moments (default 1)")
    options = parser.parse_args()
    wrong = 0
    for kind, times in (("replica", options.replica), ("database", options.database)):
        if not times:
            continue
        with LiveIssuer() as issuer, BreakablePostgres() as postgres, tempfile.TemporaryDirectory() as place:
            for fault in kills(kind, times, options.seed, issuer=issuer, postgres=postgres, place=Path(place)):
                wrong += 1
                print(f"FAULT {fault}", flush=True)
    print("no fault" if not wrong else f"{wrong} faults")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
