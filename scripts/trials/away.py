"""Take PostgreSQL away from a server under load, and compare every answer with the permitted ones.

    .venv/bin/python -m scripts.trials.away --seconds 600 --how down

`--how hang` lets it hang instead: connections stay, and nothing answers. Every user with a JWT must be served, callers
without access must be refused, keys must work as long as they are cached, and 5 seconds after its return all must be as
before. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.outage import outage


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default 600)")
    parser.add_argument("--how", choices=("down", "hang"), default="down", help="what it does (default down)")
    options = parser.parse_args()
    with LiveIssuer() as issuer, BreakablePostgres() as postgres, tempfile.TemporaryDirectory() as place:
        given = {"issuer": issuer, "postgres": postgres, "place": Path(place)}
        wrong = list(outage(options.seconds, options.how, **given))  # type: ignore[arg-type]  # each is what it is named
    print("\n".join(f"FAULT {fault}" for fault in wrong) or "no fault")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
