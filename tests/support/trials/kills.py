"""Kill a server or PostgreSQL during writes, and compare the database with acknowledged writes."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.support.breakable import BreakablePostgres
from tests.support.issuer import LiveIssuer
from tests.support.server import eventually
from tests.support.trials.writers import Ledger, Writers, faults, replica

_WITHIN = 1.5  # seconds after the first writes


def kills(
    kind: str, times: int, seed: int, *, issuer: LiveIssuer, postgres: BreakablePostgres, place: Path
) -> Iterator[str]:
    """Yield the faults of `times` kills of a `replica` or of the `database`; progress goes to standard output."""
    chosen = random.Random(seed)
    ledger = Ledger()
    server = replica(place, issuer, postgres.new())
    server.start()
    try:
        for number in range(1, times + 1):
            known = set(ledger.keys)
            writers = Writers(server, issuer, ledger)
            writers.start()
            first = number == 1  # both kinds of writes must have happened
            begun = _begun(ledger, len(known) + 2, int(first))
            if not eventually(begun, 20):
                yield f"{kind} {number}: nothing was written before the kill"
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
                time.sleep(1.1)  # as long as a key is cached
            found = list(faults(server, issuer, postgres, ledger, set(ledger.keys) - known))
            yield from (f"{kind} {number}: {fault}" for fault in found)
            if number % 10 == 0 or number == times or found:
                print(f"{kind} killed {number} times: {_summary(ledger)}", flush=True)
        if ledger.answers[500]:
            yield f"{kind}: {ledger.answers[500]} requests got 500"
        if not (ledger.keys and ledger.revisions):
            yield f"{kind}: nothing was written, so this says nothing"
    finally:
        server.stop()


def _begun(ledger: Ledger, keys: int, revisions: int) -> Callable[[], bool]:
    return lambda: len(ledger.keys) >= keys and len(ledger.revisions) >= revisions


def _summary(ledger: Ledger) -> str:
    return (
        f"{len(ledger.keys)} keys, {len(ledger.revoked)} and {len(ledger.revoked_by_admin)} revocations, "
        f"{len(ledger.revisions)} revisions acknowledged; {ledger.unanswered} requests without an answer; "
        f"answers {dict(sorted(ledger.answers.items()))}"
    )
