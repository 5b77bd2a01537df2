"""Fill the disk of the database under a server, with a small file system in memory, which needs the right to mount one.

    .venv/bin/python -m scripts.trials.full_disk --server both --database both --seconds 30

While the disk is full, requests must be answered, and the decision log must report it; afterwards all of its decisions
must be logged. Exits with 1 when something is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import get_args

from app.settings import ServerName
from tests.support.databases import Kind
from tests.support.issuer import LiveIssuer
from tests.support.trials.full_disk import full_disk


def main() -> int:
    """Run the trial, and print a line for each server and database."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=(*get_args(ServerName), "both"), default="both")
    parser.add_argument("--database", choices=(*get_args(Kind), "both"), default="both")
    parser.add_argument("--seconds", type=float, default=30.0, help="with a full disk (default 30)")
    chosen = parser.parse_args()
    wrong = 0
    for kind in get_args(Kind) if chosen.database == "both" else (chosen.database,):
        for server in get_args(ServerName) if chosen.server == "both" else (chosen.server,):
            with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as place:
                faults = list(full_disk(server, kind, chosen.seconds, issuer=issuer, place=Path(place)))
            wrong += len(faults)
            print(f"{server:8} {kind:10} {'; '.join(faults) or 'no fault'}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
