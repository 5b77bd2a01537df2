"""Take PostgreSQL away from a server under load, and hold every answer against what may be said meanwhile.

    .venv/bin/python -m scripts.trials.away --seconds 600 --how down

`--how hang` lets it hang instead: connections stay, and nothing answers. People with a JWT must all be served, users
must not come in may never come in, keys work as long as they are remembered, and 5 seconds after its return all is as
before. Exits with 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.away import away


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default 600)")
    parser.add_argument("--how", choices=("down", "hang"), default="down", help="what it does (default down)")
    options = parser.parse_args()
    with LiveIssuer() as issuer, BreakablePostgres() as postgres, tempfile.TemporaryDirectory() as place:
        given = {"issuer": issuer, "postgres": postgres, "place": Path(place)}
        wrong = list(away(options.seconds, options.how, **given))  # type: ignore[arg-type]  # each is what it is named
    print("\n".join(f"FAULT {fault}" for fault in wrong) or "no fault")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
