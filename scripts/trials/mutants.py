"""Make single edits of the security core, and print which of them the tests notice.

    .venv/bin/python -m scripts.trials.mutants                                  # 300 edits
    .venv/bin/python -m scripts.trials.mutants --count 40 --module identity --seed 7 --jobs 2

The tests of a part are imported once, in a copy of the tree, and each edit of a function is tried in a forked copy of
that process by the quick tests that call it, up to the first that fails. What they do not notice, and an edit of what
runs when a module is imported, is tried by the remaining tests in a fresh process. An edit on which the tests hang is
counted as noticed, and named. Edits that nothing notices are printed with their place; some of them change nothing that
matters, which only a reader can tell. Exits with 1 when less than `--least` percent are noticed.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from types import MappingProxyType

from scripts.trials.edits import Edit, edits_of
from scripts.trials.parts import PARTS, ROOT
from scripts.trials.warm_tests import Change, Profile, Tried, run_part

_FORK = multiprocessing.get_context("fork")
_LEFT_OUT = (".git", ".venv", "__pycache__", ".*_cache", "*.db")
_PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "--no-header", "--tb=no")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit of one file of a part."""

    part: str
    file: str
    before: str
    edit: Edit

    def __str__(self) -> str:
        return f"{self.file}:{self.edit.line} ({self.edit.kind})"

    def diff(self) -> str:
        """The lines that are changed."""
        lines = unified_diff(self.before.splitlines(), self.edit.text.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


class Outcome(StrEnum):
    """What the tests made of an edit."""

    NOTICED = "noticed"
    HUNG = "noticed, by the time limit"
    SURVIVED = "survived"


class TestsFail(Exception):
    """The tests fail without any edit, or cannot be run, so they say nothing."""


def mutants(parts: Iterable[str], root: Path = ROOT) -> list[Mutant]:
    """Every edit of these parts."""
    found = []
    for part in parts:
        for file in PARTS[part].source_files(root):
            name, text = str(file.relative_to(root)), file.read_text()
            found += [Mutant(part, name, text, edit) for edit in edits_of(text)]
    return found


def chosen(found: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many edits, as many of each part as far as it has them."""
    seeded = random.Random(seed)
    by_part = {part: [each for each in found if each.part == part] for part in dict.fromkeys(x.part for x in found)}
    for each in by_part.values():
        seeded.shuffle(each)
    taken: list[Mutant] = []
    while len(taken) < count and any(by_part.values()):
        for each in by_part.values():
            if each and len(taken) < count:
                taken.append(each.pop())
    return taken


def tests_of(mutant: Mutant, root: Path = ROOT, times: Mapping[str, float] = MappingProxyType({})) -> list[str]:
    """The tests that could see an edit: those that import its module first, and of these the quick ones."""
    module = mutant.file.removesuffix(".py").replace("/", ".")
    package, _, name = module.rpartition(".")
    imports = re.compile(rf"^from ({re.escape(module)} import|{re.escape(package)} import .*\b{name}\b)", re.MULTILINE)
    files = dict.fromkeys(str(file.relative_to(root)) for file in PARTS[mutant.part].test_files(root))
    return sorted(files, key=lambda file: (imports.search((root / file).read_text()) is None, times.get(file, 0.0)))


def copy_tree(place: Path) -> Path:
    """A copy of the tree to edit."""
    return Path(shutil.copytree(ROOT, place / "tree", ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True))


def try_out(tree: Path, mutant: Mutant, tests: Sequence[str], seconds: float) -> Outcome:
    """Make an edit in a copy of the tree, run tests, and take it back. Raises TestsFail when they cannot be run."""
    path = tree / mutant.file
    # By its time and size alone, Python could take what it compiled before for that of an edit of the same second.
    compiled = Path(cache_from_source(str(path)))
    path.write_text(mutant.edit.text)
    compiled.unlink(missing_ok=True)
    try:
        return run(tree, tests, seconds)
    finally:
        path.write_text(mutant.before)
        compiled.unlink(missing_ok=True)


def run(tree: Path, tests: Sequence[str], seconds: float) -> Outcome:
    """Run tests in a copy of the tree. Raises TestsFail when they cannot be run."""
    env = {**os.environ, "PYTHONPATH": str(tree)}
    with subprocess.Popen(
        [*_PYTEST, *tests], cwd=tree, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)  # with the servers that the tests started
            return Outcome.HUNG
    if process.returncode == 0:
        return Outcome.SURVIVED
    # 1: a test failed. 2: an import failed. Others are faults of pytest or of this script.
    if process.returncode not in (1, 2):
        raise TestsFail(f"pytest ended with {process.returncode}: {output.decode()[-500:]}")
    return Outcome.NOTICED


def try_warm(
    part: str, some: Sequence[Mutant], tree: Path, *, jobs: int, until: float
) -> Iterator[Profile | tuple[Mutant, Tried]]:
    """The profile of the tests of a part, then what the quick ones make of edits. Raises TestsFail."""
    mine, theirs = _FORK.Pipe(duplex=False)
    changes = [Change(each.file, each.before, each.edit.text) for each in some]
    options = {"jobs": jobs, "until": until}
    warm = _FORK.Process(target=run_part, args=(tree, PARTS[part].tests, changes, theirs), kwargs=options)
    warm.start()
    theirs.close()
    with suppress(EOFError):  # the end
        while True:
            match mine.recv():
                case Profile() as profile if profile.failed:
                    raise TestsFail(f"the tests of {part} fail without any edit: {profile.failed}")
                case Profile() as profile:
                    yield profile
                case Tried() as tried:
                    yield some[tried.number], tried
    warm.join()


def try_all(
    some: Sequence[Mutant], place: Path, *, jobs: int, seconds: float, until: float
) -> Iterator[tuple[Mutant, Outcome]]:
    """Try edits out, so many at a time; none is begun after `until`. Raises TestsFail."""
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(jobs):
        trees.put(copy_tree(place / str(number)))
    plain = copy_tree(place / "plain")

    def one(mutant: Mutant, tests: Sequence[str]) -> Outcome | None:
        tree = trees.get()
        try:
            return None if monotonic() > until else try_out(tree, mutant, tests, seconds)
        finally:
            trees.put(tree)

    for part in dict.fromkeys(mutant.part for mutant in some):
        remaining: list[tuple[Mutant, Sequence[str]]] = []
        times: dict[str, float] = {}
        of_part = [mutant for mutant in some if mutant.part == part]
        for said in try_warm(part, of_part, plain, jobs=jobs, until=until):
            if isinstance(said, Profile):
                times = said.seconds_by_file()
                print(f"{part}: its tests take {sum(times.values()):.0f} s", flush=True)
                continue
            mutant, tried = said
            if tried.noticed:
                yield mutant, Outcome.HUNG if tried.hung else Outcome.NOTICED
            elif tried.left is None:
                remaining.append((mutant, tests_of(mutant, plain, times)))
            elif tried.left:
                remaining.append((mutant, tried.left))
            else:
                yield mutant, Outcome.SURVIVED
        with ThreadPoolExecutor(jobs) as pool:
            later = {pool.submit(one, mutant, tests): mutant for mutant, tests in remaining}
            for done in as_completed(later):
                if outcome := done.result():
                    yield later[done], outcome


def report(outcomes: Sequence[tuple[Mutant, Outcome]]) -> float:
    """Print the share of each part and what survived. The share of all, in per cent."""
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
    parser.add_argument("--seconds", type=float, default=300, help="the longest that the tests of one may take")
    parser.add_argument("--minutes", type=float, default=600, help="start no edit after this time (default 600)")
    parser.add_argument("--least", type=float, default=95, help="per cent that must be noticed (default 95)")
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
            print(f"nothing is said: {failed}", file=sys.stderr)
            return 2
    return int(not outcomes or report(outcomes) < options.least)


if __name__ == "__main__":
    sys.exit(main())
