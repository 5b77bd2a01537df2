"""Make single edits of the security core, and print which of them the tests notice.

    .venv/bin/python -m scripts.trials.mutants                                  # 300 edits, some hours
    .venv/bin/python -m scripts.trials.mutants --count 40 --module identity --seed 7 --jobs 2

Each edit is made in a temporary copy of the tree, and the tests that could see it are run there: first those that
import the edited module, the quick ones before the slow, then the others of its part, up to the first that fails. An
edit on which they hang is counted as noticed, and named. Edits that nothing notices are printed with their place; some
of them change nothing that matters, which only a reader can tell. Exits with 1 when less than `--least` percent are
noticed.
"""

from __future__ import annotations

import argparse
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
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum
from importlib.util import cache_from_source
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from types import MappingProxyType
from xml.etree import ElementTree

from scripts.trials.edits import Edit, edits_of

ROOT = Path(__file__).parents[2]

_LEFT_OUT = (".git", ".venv", "__pycache__", ".*_cache", "*.db")
_PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-n0", "-p", "no:cacheprovider", "--no-header", "--tb=no")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the core: its sources, and the tests that could see an edit of it, the quick ones first."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


PARTS = {
    "policy": Part(
        ("app/policy",),
        (
            *("tests/policy", "tests/gateway/test_asked_targets.py", "tests/http/api/test_explain_route.py"),
            *(
                "tests/http/api/test_authzen.py",
                "tests/http/api/test_authzen_search.py",
                "tests/cli/policy/test_policy_check.py",
            ),
        ),
    ),
    "identity": Part(("app/identity",), ("tests/identity", "tests/http/door/test_issuers.py")),
    "doors": Part(
        (
            *(f"app/http/door/{name}.py" for name in ("middleware", "forward_auth", "refusal", "budgets")),
            *(f"app/http/door/{name}.py" for name in ("request_context", "route_table", "request_id")),
            "app/http/api/known_key.py",
            "app/http/api/introspection.py",
            *(f"app/http/api/authzen/{name}.py" for name in ("evaluate", "evaluation", "search", "page", "recent")),
            *(f"app/http/api/authzen/{name}.py" for name in ("wire", "budget")),
        ),
        (
            *("tests/gateway/test_answers.py", "tests/gateway/test_doors.py", "tests/gateway/test_questions.py"),
            *(
                "tests/http/door/test_shut_door.py",
                "tests/http/door/test_refusal.py",
                "tests/http/door/test_budget_answers.py",
            ),
            *(
                "tests/http/api/test_authzen_parts.py",
                "tests/http/api/test_authzen_bodies.py",
                "tests/http/api/test_recent.py",
            ),
            *(
                "tests/http/door/test_request_id.py",
                "tests/http/door/test_door.py",
                "tests/http/door/test_conditions.py",
            ),
            *(
                "tests/http/door/test_errors_contract.py",
                "tests/http/api/test_introspection.py",
                "tests/http/api/test_operation.py",
            ),
            *(
                "tests/http/api/test_explain_route.py",
                "tests/http/api/test_authzen.py",
                "tests/http/api/test_authzen_search.py",
            ),
            *("tests/http/api/test_authzen_budget.py", "tests/http/api/test_authzen_limits.py"),
            *("tests/http/api/test_authzen_certification.py", "tests/http/api/test_reverse.py"),
            *("tests/http/door/test_budgets.py", "tests/http/api/test_decisions.py"),
            *("tests/gateway/test_reasons.py", "tests/gateway/test_forward_auth.py"),
        ),
    ),
    "gateway": Part(
        ("app/gateway",),
        (
            *("tests/gateway/test_canonical.py", "tests/gateway/test_profiles.py", "tests/gateway/test_proof.py"),
            *("tests/gateway/test_asked_targets.py", "tests/gateway/test_unstated_proxies.py"),
            *("tests/gateway/test_answers.py", "tests/gateway/test_doors.py", "tests/gateway/test_questions.py"),
            *("tests/gateway/test_proxies.py", "tests/http/api/test_authzen.py"),
            *("tests/gateway/test_forward_auth.py", "tests/gateway/test_ingress_nginx.py"),
        ),
    ),
    "console": Part(
        (
            *("app/console/oidc.py", "app/console/entrance.py", "app/console/sign_in.py", "app/console/discovery.py"),
            *(
                "app/console/login_state.py",
                "app/console/cookies.py",
                "app/console/forms.py",
                "app/console/single_use.py",
            ),
        ),
        (
            *("tests/console/test_oidc.py", "tests/console/test_id_tokens.py", "tests/console/test_discovery.py"),
            *("tests/console/test_attempt.py", "tests/console/test_cookies.py", "tests/console/test_forms.py"),
            *("tests/console/test_entrance_answers.py", "tests/console/test_entrance.py"),
            *("tests/console/test_sign_in.py", "tests/console/test_issuer_answers.py"),
        ),
    ),
}


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
        for source in PARTS[part].sources:
            path = root / source
            files = [path] if path.is_file() else sorted(path.rglob("*.py"))
            for file in files:
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
    files: dict[str, None] = {}
    for place in PARTS[mutant.part].tests:
        path = root / place
        for file in [path] if path.is_file() else sorted(path.rglob("test_*.py")):
            files[str(file.relative_to(root))] = None
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


def check_tests(tree: Path, parts: Iterable[str], seconds: float) -> Mapping[str, float]:
    """Run the tests without an edit; how long those of each file take. Raises TestsFail unless they pass."""
    times: dict[str, float] = {}
    for part in parts:
        began = monotonic()
        if run(tree, (*PARTS[part].tests, "--junit-xml=times.xml"), seconds) is not Outcome.SURVIVED:
            raise TestsFail(f"the tests of {part} fail, or take over {seconds:.0f} s, without any edit")
        for case in ElementTree.parse(tree / "times.xml").iter("testcase"):
            file = f"{case.attrib['classname'].replace('.', '/')}.py"
            times[file] = times.get(file, 0.0) + float(case.attrib["time"])
        print(f"{part}: its tests take {monotonic() - began:.0f} s", flush=True)
    return times


def try_all(
    some: Sequence[Mutant], place: Path, times: Mapping[str, float], *, jobs: int, seconds: float, until: float
) -> Iterator[tuple[Mutant, Outcome]]:
    """Try edits out, each in one of as many copies of the tree as there are jobs; none is begun after `until`."""
    trees: SimpleQueue[Path] = SimpleQueue()
    for number in range(jobs):
        trees.put(copy_tree(place / str(number)))

    def one(mutant: Mutant) -> Outcome | None:
        tree = trees.get()
        try:
            return None if monotonic() > until else try_out(tree, mutant, tests_of(mutant, tree, times), seconds)
        finally:
            trees.put(tree)

    with ThreadPoolExecutor(jobs) as pool:
        tried = {pool.submit(one, mutant): mutant for mutant in some}
        for done in as_completed(tried):
            if outcome := done.result():
                yield tried[done], outcome


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
            times = check_tests(copy_tree(place / "plain"), parts, options.seconds)
            until = monotonic() + 60 * options.minutes
            for tried in try_all(some, place, times, jobs=options.jobs, seconds=options.seconds, until=until):
                outcomes.append(tried)
                print(f"{len(outcomes)}/{len(some)} {tried[0]}: {tried[1]}", flush=True)
        except TestsFail as failed:
            print(f"nothing is said: {failed}", file=sys.stderr)
            return 2
    return int(not outcomes or report(outcomes) < options.least)


if __name__ == "__main__":
    sys.exit(main())
