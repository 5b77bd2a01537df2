"""Single edits of the security core, tried by its tests in copies of the tree."""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import shutil
import subprocess
import sys
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

from tests.support.mutation.edits import Edit, edits_of
from tests.support.mutation.parts import PARTS, ROOT
from tests.support.mutation.warm_tests import Change, Profile, Tried, run_part

_SPAWN = multiprocessing.get_context("spawn")  # a process into which no module of another tree is imported
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
    """The outcome of the tests with an edit."""

    NOTICED = "noticed"
    HUNG = "noticed, by the time limit"
    SURVIVED = "survived"


class TestsFail(Exception):
    """The tests fail without an edit, or cannot be run."""


def mutants(parts: Iterable[str], root: Path = ROOT) -> list[Mutant]:
    """Every edit of these parts."""
    found = []
    for part in parts:
        for file in PARTS[part].source_files(root):
            name, text = str(file.relative_to(root)), file.read_text()
            found += [Mutant(part, name, text, edit) for edit in edits_of(text)]
    return found


def chosen(found: Sequence[Mutant], count: int, seed: int) -> list[Mutant]:
    """A seeded choice of `count` edits, spread evenly over the parts."""
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
    """The test files of a part: first those that import the edited module, and the quick ones first."""
    module = mutant.file.removesuffix(".py").replace("/", ".")
    package, _, name = module.rpartition(".")
    imports = re.compile(rf"^from ({re.escape(module)} import|{re.escape(package)} import .*\b{name}\b)", re.MULTILINE)
    files = dict.fromkeys(str(file.relative_to(root)) for file in PARTS[mutant.part].test_files(root))
    return sorted(files, key=lambda file: (imports.search((root / file).read_text()) is None, times.get(file, 0.0)))


def copy_tree(place: Path) -> Path:
    """Copy the tree, to edit the copy."""
    return Path(shutil.copytree(ROOT, place / "tree", ignore=shutil.ignore_patterns(*_LEFT_OUT), symlinks=True))


def try_out(tree: Path, mutant: Mutant, tests: Sequence[str], seconds: float) -> Outcome:
    """Make an edit in a copy of the tree, run tests, and undo it. Raises TestsFail if they cannot be run."""
    path = tree / mutant.file
    # Python compares time and size only, so a compiled file could be mistaken for that of an edit in the same second.
    compiled = Path(cache_from_source(str(path)))
    path.write_text(mutant.edit.text)
    compiled.unlink(missing_ok=True)
    try:
        return run(tree, tests, seconds)
    finally:
        path.write_text(mutant.before)
        compiled.unlink(missing_ok=True)


def run(tree: Path, tests: Sequence[str], seconds: float) -> Outcome:
    """Run tests in a copy of the tree. Raises TestsFail if they cannot be run."""
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
    # 1: a test failed. 2: an import failed. Other codes are errors of pytest or of this module.
    if process.returncode not in (1, 2):
        raise TestsFail(f"pytest ended with {process.returncode}: {output.decode()[-500:]}")
    return Outcome.NOTICED


def try_warm(
    part: str, some: Sequence[Mutant], tree: Path, *, jobs: int, until: float
) -> Iterator[Profile | tuple[Mutant, Tried]]:
    """Yield the profile of the tests of a part, then the outcome of each edit by quick tests. Raises TestsFail."""
    receiver, sender = _SPAWN.Pipe(duplex=False)
    changes = [Change(each.file, each.before, each.edit.text) for each in some]
    options = {"jobs": jobs, "until": until}
    warm = _SPAWN.Process(target=run_part, args=(tree, PARTS[part].tests, changes, sender), kwargs=options)
    warm.start()
    sender.close()
    with suppress(EOFError):  # the end
        while True:
            match receiver.recv():
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
    """Try edits, `jobs` at a time; none is started after `until`. Raises TestsFail."""
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(jobs):
        trees.put(copy_tree(place / str(number)))
    plain = copy_tree(place / "plain")

    def one(mutant: Mutant, tests: Sequence[str], profile: Profile) -> Outcome | None:
        tree = trees.get()
        try:
            return None if monotonic() > until else try_out(tree, mutant, tests, profile.time_limit(tests, seconds))
        finally:
            trees.put(tree)

    for part in dict.fromkeys(mutant.part for mutant in some):
        remaining: list[tuple[Mutant, Sequence[str]]] = []
        profile, times = Profile(), dict[str, float]()
        of_part = [mutant for mutant in some if mutant.part == part]
        for result in try_warm(part, of_part, plain, jobs=jobs, until=until):
            if isinstance(result, Profile):
                profile, times = result, result.seconds_by_file()
                print(f"{part}: its tests take {sum(times.values()):.0f} s", flush=True)
                continue
            mutant, tried = result
            if tried.noticed:
                yield mutant, Outcome.HUNG if tried.hung else Outcome.NOTICED
            elif tried.left is None:
                remaining.append((mutant, tests_of(mutant, plain, times)))
            elif tried.left:
                remaining.append((mutant, tried.left))
            else:
                yield mutant, Outcome.SURVIVED
        with ThreadPoolExecutor(jobs) as pool:
            later = {pool.submit(one, mutant, tests, profile): mutant for mutant, tests in remaining}
            for done in as_completed(later):
                if outcome := done.result():
                    yield later[done], outcome
