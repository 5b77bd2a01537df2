"""Move a server's database address to a new primary while the old one stays up read-only, and time the recovery.

    .venv/bin/python -m scripts.trials.failover --times 5

The new primary is a standby of the old one that is promoted. With `--address hosts` the address names both, and nothing
moves. Meanwhile nothing may be answered 500; while there is no primary, writers are answered 503 and `/readyz` says
`degraded`. 5 seconds after the move all must work: writing, reading by key, publishing, following and readiness. Exits
with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.issuer import LiveIssuer
from tests.support.trials.failover import failover


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="failovers, each of new servers (default 5)")
    parser.add_argument("--address", choices=("move", "hosts"), default="move", help="what it is (default move)")
    parser.add_argument("--seconds", type=float, default=10.0, help="without a primary (default 10)")
    options = parser.parse_args()
    wrong: list[str] = []
    with LiveIssuer() as issuer:
        for number in range(options.times):
            print(f"failover {number + 1} of {options.times}", flush=True)
            with tempfile.TemporaryDirectory() as place:
                wrong += failover(options.address, issuer=issuer, place=Path(place), seconds=options.seconds)
    print("\n".join(f"FAULT {fault}" for fault in wrong) or "no fault")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
