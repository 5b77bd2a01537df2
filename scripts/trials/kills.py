"""Kill a server, or PostgreSQL with all of its processes, in the middle of writes, and hold what is left against what
was acknowledged.

    .venv/bin/python scripts/trials/kills.py --replica 100 --database 20 --seed 1

Keys are issued and revoked, by their owners and by an administrator, and policies published, while SIGKILL comes at a
random moment. Afterwards no acknowledged key, revocation, revision or audit row may be lost, and none may be there
without its effect. Exits with 1 when one is.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from scripts.trials.writing import Ledger, Writers, faults, replica
from tests.breakable import BreakablePostgres
from tests.issuer import LiveIssuer
from tests.server import eventually

_WITHIN = 1.5  # seconds after the first writes


def kills(
    kind: str, times: int, seed: int, *, issuer: LiveIssuer, postgres: BreakablePostgres, place: Path
) -> Iterator[str]:
    """The faults of so many kills of a `replica` or of the `database`; progress goes to standard output."""
    chosen = random.Random(seed)
    ledger = Ledger()
    server = replica(place, issuer, postgres.new())
    server.start()
    try:
        for number in range(1, times + 1):
            known = set(ledger.keys)
            writers = Writers(server, issuer, ledger)
            writers.start()
            first = number == 1  # both must be seen to be written once
            begun = _begun(ledger, len(known) + 2, int(first))
            eventually(begun, 20)
            time.sleep(chosen.uniform(0.0, _WITHIN))
            if kind == "replica":
                server.signal(signal.SIGKILL)
            else:
                postgres.kill()
                time.sleep(0.2)
            writers.stop()
            if kind == "replica":
                server.stop()
                server.lines.clear()
                server.start()
            else:
                postgres.start()
                time.sleep(1.1)  # as long as a key is remembered
            found = list(faults(server, issuer, postgres, ledger, set(ledger.keys) - known))
            yield from (f"{kind} {number}: {fault}" for fault in found)
            if number % 10 == 0 or number == times or found:
                print(f"{kind} killed {number} times: {_told(ledger)}", flush=True)
        if ledger.answers[500]:
            yield f"{kind}: {ledger.answers[500]} requests got 500"
        if not (ledger.keys and ledger.revisions):
            yield f"{kind}: nothing was written, so this says nothing"
    finally:
        server.stop()


def _begun(ledger: Ledger, keys: int, revisions: int) -> Callable[[], bool]:
    return lambda: len(ledger.keys) >= keys and len(ledger.revisions) >= revisions


def _told(ledger: Ledger) -> str:
    return (
        f"{len(ledger.keys)} keys, {len(ledger.revoked)} and {len(ledger.revoked_by_admin)} revocations, "
        f"{len(ledger.revisions)} revisions acknowledged; {ledger.unanswered} requests without an answer; "
        f"answers {dict(sorted(ledger.answers.items()))}"
    )


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
