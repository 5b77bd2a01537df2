"""Send hostile input to everything that reads input from outside, and look for what must never happen.

    .venv/bin/python -m scripts.fuzz.main --minutes 60
    .venv/bin/python -m scripts.fuzz.main --minutes 5 --target tokens --target connections --seed 7
    .venv/bin/python -m scripts.fuzz.main --target policies --replay failures/policies-1f2e3d4c

Inputs start as valid ones and are changed: bytes, words, numbers, lines, repetitions, nesting. No case may raise an
unexpected exception, be answered with a 500, let a caller in without good credentials, or take over a second of
processor time.
A case that fails is made smaller, printed, and written to a file in --failures; then the exit code is 1. Put it into
tests/fuzz/seeds, with which every run begins.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path

from scripts.fuzz.campaign import Campaign, Failure
from scripts.fuzz.supervisor import Order, Result, supervise

_FOLDER = Path(__file__).parent / "targets"
TARGETS = {
    file.stem: f"scripts.fuzz.targets.{file.stem}" for file in sorted(_FOLDER.glob("*.py")) if file.stem != "__init__"
}
_PROGRESS_SECONDS = 30.0
_SHOWN = 2_000  # characters of a failing case


class _Progress:
    """Prints and keeps each failure at once, and prints a line now and then."""

    def __init__(self, failures: Path) -> None:
        self._folder = failures
        self._began = self._printed = time.monotonic()
        self._failed = 0

    def __call__(self, result: Result) -> None:
        now = time.monotonic()
        for failure in result.failures[self._failed :]:
            _print_failure(failure, self._folder)
        self._failed = len(result.failures)
        if now - self._printed >= _PROGRESS_SECONDS:
            self._printed = now
            counts = ", ".join(f"{name} {tally.cases}" for name, tally in result.tallies.items())
            print(f"{now - self._began:5.0f} s  {counts}; {len(result.failures)} failed", flush=True)


def report(result: Result, failures: Path) -> None:
    """Print the table, and again each failure, whose case is in a file."""
    for failure in result.failures:
        _print_failure(failure, failures)
    print(f"\n{'target':12} {'cases':>9} {'seconds':>9} {'slowest':>9}")
    for name, tally in result.tallies.items():
        print(f"{name:12} {tally.cases:9} {tally.seconds:9.1f} {tally.slowest:8.3f}s")


def _print_failure(failure: Failure, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{failure.target or 'start'}-{hashlib.sha256(failure.data).hexdigest()[:8]}"
    file.write_bytes(failure.data)
    data = b64encode(failure.data).decode()
    cut = f"… ({len(failure.data)} bytes)" if len(data) > _SHOWN else ""
    print(f"\n{failure.target}: {failure.message}")
    print(f"  case: {failure.data[:_SHOWN]!r}\n  base64: {data[:_SHOWN]}{cut}\n  file: {file}", flush=True)


def replay(target: str, file: Path) -> int:
    """Run one case, in this process."""
    campaign = Campaign([TARGETS[target]], 1, lambda _target, _data: None)
    failure = campaign.replay(file.read_bytes())
    print(f"{target}: {failure.message}" if failure else f"{target}: as it should be")
    return int(failure is not None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long (default 60)")
    parser.add_argument(
        "--cases", type=int, default=1_000_000_000, help="at most so many generated ones of each target"
    )
    parser.add_argument("--target", choices=TARGETS, action="append", help="what to try (default all); repeatable")
    parser.add_argument("--seed", type=int, default=1, help="which cases (default 1)")
    default = Path(tempfile.gettempdir(), f"authz-fuzz-failures-{os.getuid()}")
    parser.add_argument(
        "--failures", type=Path, default=default, help=f"where cases that fail are written (default {default})"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run this one case of the target alone")
    options = parser.parse_args()
    names = list(dict.fromkeys(options.target or TARGETS))
    if options.replay:
        if len(names) != 1:
            parser.error("--replay needs one --target.")
        if not options.replay.is_file():
            parser.error(f"--replay: there is no file {options.replay}.")
        return replay(names[0], options.replay)
    order = Order([TARGETS[name] for name in names], options.seed, 60 * options.minutes, options.cases)
    began = time.monotonic()
    result = supervise(order, _Progress(options.failures))
    report(result, options.failures)
    print(f"{time.monotonic() - began:.0f} s, seed {options.seed}: {len(result.failures)} failed")
    return int(bool(result.failures))


if __name__ == "__main__":
    sys.exit(main())
