"""Time how soon another replica refuses what a user or an administrator has ended.

.venv/bin/python -m scripts.trials.revocations                           # 200 of each kind, on both databases
.venv/bin/python -m scripts.trials.revocations --times 20 --cut 5 --database postgresql

Two servers share a file of SQLite, then a PostgreSQL. At the first one consents, apps, persons, secrets and tokens are
ended; the time is from its answer until the last request was sent that the second one still accepted. Then the same on
PostgreSQL while the connections that listen are ended at random, and without any notification. Exits with 1 if a bound
is broken.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.support.databases import KINDS, Postgres
from tests.support.issuer import LiveIssuer
from tests.support.trials.notifications import without_listeners, without_notifications
from tests.support.trials.revocations import RevocationTrial, two_replicas
from tests.support.trials.timings import Timings, last_accepted

BOUND = 1.0  # seconds, with notifications, and on SQLite
BOUND_UNNOTIFIED = 2.0  # tokens are cached for a second, and looking one up takes time


def timed(trial: RevocationTrial, kind: str) -> float:
    """Seconds from the answer to a revocation of this kind until the last request that was accepted."""
    revocation = trial.kinds[kind]()
    time.sleep(random.uniform(0, 0.5))  # polls happen at a fixed rate
    revocation.act()
    return last_accepted(revocation.is_obeyed, time.monotonic())


class Measurements:
    """Measures revocations of some kinds."""

    def __init__(self, kinds: Sequence[str], times: int, cut: int) -> None:
        self.timings = Timings()
        self._kinds = kinds
        self._times = times
        self._cut = cut

    def on_sqlite(self, place: Path, issuer: LiveIssuer) -> None:
        """Measure on a file of SQLite."""
        with two_replicas(place, issuer) as trial:
            self._measure(trial, "SQLite", self._times, BOUND)

    def on_postgresql(self, place: Path, issuer: LiveIssuer) -> None:
        """Measure on PostgreSQL, with notifications and without."""
        postgres = Postgres()
        try:
            url = postgres.new(prepared=True)
            with two_replicas(place, issuer, url) as trial:
                self._measure(trial, "PostgreSQL", self._times, BOUND)
                with without_listeners(url) as ended:
                    self._measure(trial, "PostgreSQL, listeners cut off", self._cut, BOUND_UNNOTIFIED)
                print(f"  ({ended[0]} connections were ended)")
                with without_notifications(url):
                    self._measure(trial, "PostgreSQL, no notification", self._cut, BOUND_UNNOTIFIED)
        finally:
            postgres.stop()

    def _measure(self, trial: RevocationTrial, what: str, times: int, bound: float) -> None:
        for kind in self._kinds or trial.kinds:
            self.timings.report(f"{what}: {kind}", [timed(trial, kind) for _ in range(times)], bound)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=200, help="of each kind, with notifications (default 200)")
    parser.add_argument("--cut", type=int, default=50, help="of each kind, with them cut, and with none (default 50)")
    parser.add_argument("--database", choices=KINDS, action="append", help="default both; repeatable")
    parser.add_argument("--kind", action="append", help="of revocation (default all); repeatable")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random.seed(options.seed)
    measurements = Measurements(options.kind or (), options.times, options.cut)
    with LiveIssuer() as issuer, tempfile.TemporaryDirectory() as directory:
        for database in options.database or KINDS:
            place = Path(directory, database)
            place.mkdir()
            (measurements.on_sqlite if database == "sqlite" else measurements.on_postgresql)(place, issuer)
    return int(measurements.timings.broken > 0)


if __name__ == "__main__":
    sys.exit(main())
