"""Make single edits of the security core, and print those that its tests do not notice.

    .venv/bin/python -m scripts.trials.mutants                                  # 300 edits
    .venv/bin/python -m scripts.trials.mutants --count 40 --module identity --seed 7 --jobs 2

The tests of a part are imported once, in a copy of the tree. An edit of a function is tried in a forked copy of that
process by the quick tests that call the function, up to the first failure. If none fails, or if the edited code runs at
import, the remaining tests run in a new process. An edit that makes the tests hang counts as noticed, and is
named. Unnoticed edits are printed with their place; some of them change nothing that matters, which only a reader can
judge. Exits with 1 if less than `--least` percent are noticed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from tests.support.mutation.mutants import Mutant, Outcome, TestsFail, chosen, mutants, try_all
from tests.support.mutation.parts import PARTS


def report(outcomes: Sequence[tuple[Mutant, Outcome]]) -> float:
    """Print the share of noticed edits of each part and the survivors; return the total share in percent."""
    survived = [mutant for mutant, outcome in outcomes if outcome is Outcome.SURVIVED]
    for mutant in sorted(survived, key=str):
        print(f"\n{mutant}\n{mutant.diff()}")
    of, lost = Counter(mutant.part for mutant, _ in outcomes), Counter(mutant.part for mutant in survived)
    hung = Counter(mutant.part for mutant, outcome in outcomes if outcome is Outcome.HUNG)
    print()
    for part in of:
        share = 100 * (of[part] - lost[part]) / of[part]
        print(f"{part:10} {of[part] - lost[part]:4} of {of[part]:4} noticed, {share:5.1f} % ({hung[part]} hung)")
    share = 100 * (len(outcomes) - len(survived)) / len(outcomes)
    print(f"{'all':10} {len(outcomes) - len(survived):4} of {len(outcomes):4} noticed, {share:5.1f} %")
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300, help="edits (default 300)")
    parser.add_argument("--seed", type=int, default=1, help="which edits (default 1)")
    parser.add_argument("--module", choices=PARTS, action="append", help="a part of the core (default all); repeatable")
    parser.add_argument("--jobs", type=int, default=1, help="edits at a time (default 1)")
    parser.add_argument(
        "--seconds", type=float, default=300, help="the least time limit of the tests of one edit (default 300)"
    )
    parser.add_argument("--minutes", type=float, default=600, help="start no edit after this time (default 600)")
    parser.add_argument("--least", type=float, default=95, help="percent that must be noticed (default 95)")
    options = parser.parse_args()
    parts = list(dict.fromkeys(options.module or PARTS))
    some = chosen(mutants(parts), options.count, options.seed)
    outcomes: list[tuple[Mutant, Outcome]] = []
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        try:
            until = monotonic() + 60 * options.minutes
            for tried in try_all(some, place, jobs=options.jobs, seconds=options.seconds, until=until):
                outcomes.append(tried)
                print(f"{len(outcomes)}/{len(some)} {tried[0]}: {tried[1]}", flush=True)
        except TestsFail as failed:
            print(f"no result: {failed}", file=sys.stderr)
            return 2
    return int(not outcomes or report(outcomes) < options.least)


if __name__ == "__main__":
    sys.exit(main())
