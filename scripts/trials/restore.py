"""Restore the database while replicas run or are paused: all must follow it, and none may keep a policy that was lost.

.venv/bin/python -m scripts.trials.restore                # 5 times each
.venv/bin/python -m scripts.trials.restore --times 50

Starts PostgreSQL, an issuer and two `authz serve` with their own policy directories. The database is copied, a policy
is published, and the copy replaces the database: while both serve, or while one is
paused and the other publishes a policy that gets the id of the lost one. Then both must serve the newest entry of the
restored history, log that, and still serve it after a restart. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.databases import Postgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.restore import restores


def main() -> None:
    """Start everything, and run the trials."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    times: int = parser.parse_args().times
    postgres = Postgres()
    try:
        with tempfile.TemporaryDirectory() as place, LiveIssuer() as issuer:
            faults = list(restores(times, issuer=issuer, postgres=postgres, place=Path(place)))
    finally:
        postgres.stop()
    print("\n".join(faults) or f"{2 * times} restores: the restored history was followed each time")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
