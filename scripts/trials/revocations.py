"""Time how soon another replica refuses what a user or an administrator has ended.

.venv/bin/python -m scripts.trials.revocations                           # 200 of each kind, on both databases
.venv/bin/python -m scripts.trials.revocations --times 20 --cut 5 --database postgresql

Two servers share a file of SQLite, then a PostgreSQL. At the first one consents, apps, persons, secrets and tokens are
ended; the time is from its answer until the second one refuses what it accepted before. Then the same on PostgreSQL
while the connections that listen are ended at random, and without any notification. A measurement during which the
machine was too busy is repeated. Exits with 1 if a bound is broken.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.support.databases import KINDS, Postgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.notifications import without_listeners, without_notifications
from tests.support.trials.revocations import RevocationTrial, two_replicas
from tests.support.trials.timings import Timings, until

BOUND = 1.0  # seconds, with notifications, and on SQLite
BOUND_UNNOTIFIED = 2.0  # tokens are cached for a second, and looking one up takes time


def timed(trial: RevocationTrial, kind: str) -> float:
    """Seconds from the answer to a revocation of this kind until it is obeyed."""
    revocation = trial.kinds[kind]()
    time.sleep(random.uniform(0, 0.5))  # polls happen at a fixed rate
    revocation.act()
    return until(revocation.is_obeyed, time.monotonic())


def measure(trial: RevocationTrial, timings: Timings, what: str, times: int, bound: float) -> None:
    """Report the times of each kind of revocation."""
    for kind in trial.kinds:
        found = timings.undisturbed(partial(timed, trial, kind), times)
        timings.report(f"{what}: {kind}", found, bound)


def on_sqlite(place: Path, issuer: LiveIssuer, timings: Timings, times: int) -> None:
    """Measure on a file of SQLite."""
    with two_replicas(place, issuer) as trial:
        measure(trial, timings, "SQLite", times, BOUND)


def on_postgresql(place: Path, issuer: LiveIssuer, timings: Timings, times: int, cut: int) -> None:
    """Measure on PostgreSQL, with notifications and without."""
    postgres = Postgres()
    try:
        url = postgres.new(prepared=True)
        with two_replicas(place, issuer, url) as trial:
            measure(trial, timings, "PostgreSQL", times, BOUND)
            with without_listeners(url) as ended:
                measure(trial, timings, "PostgreSQL, listeners cut off", cut, BOUND_UNNOTIFIED)
            print(f"  ({ended[0]} connections were ended)")
            with without_notifications(url):
                measure(trial, timings, "PostgreSQL, no notification", cut, BOUND_UNNOTIFIED)
    finally:
        postgres.stop()


def run(times: int, cut: int, databases: Sequence[str]) -> int:
    """Run the trial; return the number of broken bounds."""
    timings = Timings()
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as directory:
        for database in databases:
            place = Path(directory, database)
            place.mkdir()
            if database == "sqlite":
                on_sqlite(place, issuer, timings, times)
            else:
                on_postgresql(place, issuer, timings, times, cut)
    return timings.broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="of each kind, with notifications (default 200)")
    parser.add_argument("--cut", type=int, default=50, help="of each kind, with them cut, and with none (default 50)")
    parser.add_argument("--database", choices=KINDS, action="append", help="default both; repeatable")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    return int(run(options.times, options.cut, options.database or KINDS) > 0)


if __name__ == "__main__":
    sys.exit(main())
