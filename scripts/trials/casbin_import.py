"""Import random Casbin policies, and compare the verdicts of each with pycasbin on many requests.

    .venv/bin/python -m scripts.trials.casbin_import --policies 100 --requests 10000 --seed 0

For a policy of your own, `authz import casbin DIR --out NEW --samples 10000` does the same. Exits with 1 at the first
import whose verdicts differ without a reported reason, or whose cases fail, and prints the model and the rows.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from app.policy.analysis.case_runner import run
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import run_import
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.small import TABLE, files
from tests.support.casbin_policies import RandomCasbin, random_casbin

# Refusals that say that a policy cannot be carried over; any other is a defect of the import.
REFUSALS = {"unstated-deny", "nothing-left", "role-chain"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--requests", type=int, default=10_000, help="random requests for each (default 10000)")
    parser.add_argument("--seed", type=int, default=0, help="of the first policy (default 0)")
    options = parser.parse_args()
    base = parse(from_bytes(files("p, a:read, /**, GET|POST, allow")))
    outcomes: Counter[str] = Counter()
    equal = narrower = unnamed = 0
    for seed in range(options.seed, options.seed + options.policies):
        made = random_casbin(seed)
        chosen = ImportOptions("svc", depth=2, samples=options.requests, seed=seed, matching=made.matching)
        try:
            done = run_import(made.files, chosen, base, TABLE)
        except (ImportRefused, PolicyRefused) as refused:
            codes = {fault.code for fault in refused.faults}
            if isinstance(refused, PolicyRefused) or not codes & REFUSALS:
                return _failed(seed, made, str(refused))
            outcomes["refused"] += 1
            continue
        snapshot = Snapshot(parse(from_bytes(done.files)), TABLE)
        failed = [str(each.case) for each in run(snapshot, snapshot.policy.cases) if not each.passed]
        if failed:
            return _failed(seed, made, failed[0])
        outcomes["carried over" if done.is_exact else "narrower"] += 1
        equal += done.verification.equal
        narrower += done.verification.narrower
        unnamed += done.verification.unnamed
        print(f"\r{seed - options.seed + 1} of {options.policies}", end="", file=sys.stderr, flush=True)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items()))
    print(f"\r{options.policies} policies from seed {options.seed}: {counts};")
    print(f"{equal:,} equal; denied here alone: {narrower:,} for a reported reason, {unnamed:,} without a name here")
    return 0


def _failed(seed: int, made: RandomCasbin, problem: str) -> int:
    print(f"\nseed {seed}: {problem}", made.files.model, *made.files.rows.values(), sep="\n", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
