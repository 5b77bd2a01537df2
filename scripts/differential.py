"""Decide many random cases in three ways: the engine, plain pycasbin, and an oracle over sets.

    .venv/bin/python -m scripts.differential --cases 200000 --seed 1

Exits with 1 at the first disagreement, and prints the case.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.policy.worlds import Disagreement, compare


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200_000, help="how many (default 200000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    options = parser.parse_args()
    started = time.monotonic()
    done = 0
    try:
        for done in compare(options.seed, options.cases):
            if done % 10_000 == 0:
                print(f"\r{done} of {options.cases}", end="", file=sys.stderr, flush=True)
    except Disagreement as found:
        print(f"\n{found}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - started
    print(f"\r{done} cases of seed {options.seed}: the three agree on all ({seconds:.0f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
