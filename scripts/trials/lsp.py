"""Compare what `authz lsp` shows with `authz policy check --json`, for every policy that the tests refuse.

    .venv/bin/python -m scripts.trials.lsp --seed 0 --damaged 500

Each changed file is opened in one server with the shipped policy, and its diagnostics are compared with the output of
the check on the same directory: file, line, column, severity, code, message and hint. `--damaged` adds random damage:
lines cut, doubled, swapped or with characters typed into them. Exits with 1 if any differ.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.policy.malformed import MALFORMED
from tests.policy.shipped import shipped_files, write
from tests.support.lsp_process import LspProcess
from tests.support.trials.lsp import compared, damaged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--damaged", type=int, default=500, help="how many policies with random damage (default 500)")
    parser.add_argument("--seed", type=int, default=0, help="of the damage (default 0)")
    options = parser.parse_args()
    chosen = random.Random(options.seed)
    changes = [(each.name, each.file, each.data) for each in MALFORMED]
    changes += [(f"damage {number}", *damaged(chosen)) for number in range(options.damaged)]
    wrong = found = 0
    with tempfile.TemporaryDirectory() as place:
        directory = write(Path(place).resolve() / "workspace" / "policies", shipped_files())
        with LspProcess(directory.parent, capabilities={"general": {"positionEncodings": ["utf-32"]}}) as server:
            for number, (name, file, data) in enumerate(changes, 1):
                count, differing = compared(server, directory, file, data)
                found += count
                if differing:
                    wrong += 1
                    print(f"{name} ({file}):", *differing, sep="\n  ")
                print(f"\r{number} of {len(changes)}", end="", file=sys.stderr, flush=True)
            server.stop()
    print(f"\r{len(changes)} policies, {found} faults and findings, {wrong} policies differ.")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
