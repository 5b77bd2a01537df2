"""Compare random pairs of policies as `authz policy diff` does, and by brute force over all cells.

    .venv/bin/python -m scripts.diff_against_brute_force --pairs 1000 --seed 1

Exits with 1 at the first disagreement, and prints the pair.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.policy.pairs import agree_all
from tests.policy.worlds import Disagreement


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1_000, help="how many (default 1000)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default 1)")
    options = parser.parse_args()
    started = time.monotonic()
    changed = 0
    try:
        for done, changed in agree_all(options.seed, options.pairs):  # noqa: B007  # the last count is printed
            if done % 10 == 0:
                print(f"\r{done} of {options.pairs}", end="", file=sys.stderr, flush=True)
    except Disagreement as found:
        print(f"\n{found}", file=sys.stderr)
        return 1
    took = f"{time.monotonic() - started:.0f} s"
    print(f"\r{options.pairs} pairs of seed {options.seed}: alike on all cells, {changed} of which changed ({took})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
