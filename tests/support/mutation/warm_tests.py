"""Tries edits in forked copies of one process that has imported the tests of a part.

The tests run once without an edit, to record how long each takes, which functions it calls and whether it uses another
process. An edit of a function is then tried by the quick tests that call it, the quickest first.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic
from types import CodeType, FrameType

import pytest

from tests.support.mutation.patching import Key, NotPatchable, changed_functions, patch

_HERE = __name__.rpartition(".")[0]  # these modules stay, since the results that they send are of their classes
_SLOWER = 5  # the machine may be busier than when the tests ran without an edit
_QUICK_SECONDS = 5.0  # of a test whose calls are recorded
_FORK = multiprocessing.get_context("fork")
# Exit codes of a copy; 1 is that of an exception in multiprocessing.
_FAULT, _NOTICED, _NOT_PATCHABLE = 1, 10, 11
# Audit events of a test that starts or uses another process.
_OUTSIDE = frozenset({"subprocess.Popen", "os.posix_spawn", "socket.connect"})


@dataclass(frozen=True, slots=True)
class Change:
    """An edit of a file, as its text before and after."""

    file: str
    before: str
    after: str


@dataclass(slots=True)
class Profile:
    """The tests without an edit; code that ran before the first test has the name ''."""

    seconds: dict[str, float] = field(default_factory=dict)
    callers: dict[tuple[str, str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    outside: set[str] = field(default_factory=set)
    failed: str = ""

    def calling(self, file: str, keys: Sequence[Key]) -> set[str]:
        return {test for key in keys for test in self.callers.get((file, *key), ())}

    def time_limit(self, tests: Iterable[str], least: float) -> float:
        """The seconds that tests, by file or by name, may take: several times as many as without an edit."""
        names = set(tests)
        usual = sum(
            each for test, each in self.seconds.items() if not names.isdisjoint({test, test.partition("::")[0]})
        )
        return max(least, _SLOWER * usual)

    def seconds_by_file(self) -> dict[str, float]:
        found: dict[str, float] = defaultdict(float)
        for test, seconds in self.seconds.items():
            found[test.partition("::")[0]] += seconds
        return found


@dataclass(frozen=True, slots=True)
class Tried:
    """The outcome of the edit with this number; `left` are the tests that remain to run, None for all."""

    number: int
    noticed: bool
    hung: bool = False
    left: tuple[str, ...] | None = None


def run_part(
    tree: Path, tests: Sequence[str], changes: Sequence[Change], to: Connection, *, jobs: int, until: float
) -> None:
    """Collect tests in this process, and send a Profile and then a Tried for each edit."""
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("app", "tests")]:
        if not name.startswith(_HERE):
            del sys.modules[name]  # of another tree
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    plugin = _Plugin(tree, changes, to, jobs, until)
    code = pytest.main(["-q", "-n0", "-p", "no:cacheprovider", "--no-header", "--tb=no", *tests], plugins=[plugin])
    if not plugin.ran:
        to.send(Profile(failed=f"collecting them (pytest ended with {code})"))
    to.close()


class _Plugin:
    def __init__(self, tree: Path, changes: Sequence[Change], to: Connection, jobs: int, until: float) -> None:
        self._tree, self._changes, self._to, self._jobs, self._until = tree, changes, to, jobs, until
        self._app = f"{tree}/app/"
        self._profile = Profile()
        self._test = ""
        self._seen: dict[int, CodeType] = {}  # since the last test, by identity, since hashing is slow
        self._failed = ""
        self.ran = False
        self._tracing(True)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self._failed:
            self._failed = report.nodeid

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._tracing(False)
        self._note_calls("")
        self.ran = True
        if session.testsfailed:
            self._to.send(Profile(failed="collecting them"))
            return True
        # In a copy, which takes its fixtures with it: each edit starts without any.
        receiver, sender = _FORK.Pipe(duplex=False)
        copy = _FORK.Process(target=self._run_plain, args=(session.items, sender))
        copy.start()
        sender.close()
        try:
            self._profile = receiver.recv()
        except EOFError:
            self._profile = Profile(failed="running them, which ended the process")
        copy.join()
        self._to.send(self._profile)
        if not self._profile.failed:
            self._try_all(session.items)
        return True

    def _tracing(self, on: bool) -> None:
        """Record each called function of the application. Lines cost nothing without a local trace."""
        seen = self._seen

        def called(frame: FrameType, _event: str, _argument: object) -> None:
            seen[id(frame.f_code)] = frame.f_code

        threading.settrace(called if on else None)
        sys.settrace(called if on else None)

    def _note_calls(self, test: str) -> None:
        while self._seen:  # to which another thread may add meanwhile
            _, code = self._seen.popitem()
            if code.co_filename.startswith(self._app):
                self._profile.callers[code.co_filename, code.co_qualname, code.co_firstlineno].add(test)

    def _run_plain(self, items: Sequence[pytest.Item], to: Connection) -> None:
        def audit(event: str, _: object) -> None:
            if event in _OUTSIDE:
                self._profile.outside.add(self._test)

        sys.addaudithook(audit)
        self._tracing(True)
        for item, following in zip(items, [*items[1:], None], strict=True):
            self._test, began = item.nodeid, monotonic()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            self._profile.seconds[item.nodeid] = monotonic() - began
            self._note_calls(item.nodeid)
        self._tracing(False)
        self._profile.failed = self._failed
        to.send(self._profile)

    def _try_all(self, items: Sequence[pytest.Item]) -> None:
        todo = list(enumerate(self._changes))[::-1]
        running: dict[int, tuple[_Attempt, float]] = {}
        while todo or running:
            while todo and len(running) < self._jobs and monotonic() < self._until:
                number, change = todo.pop()
                attempt = self._attempt(number, change, items)
                if attempt.process is None:
                    self._to.send(Tried(number, noticed=False, left=attempt.left))
                else:
                    running[attempt.process.sentinel] = attempt, monotonic() + attempt.seconds
            if not running:
                if monotonic() >= self._until:
                    return
                continue
            ended = set(wait(list(running), timeout=0.5))
            for sentinel, (attempt, limit) in list(running.items()):
                process = attempt.process
                assert process is not None and process.pid is not None
                hung = sentinel not in ended and monotonic() > limit
                if sentinel in ended or hung:
                    _end_group(process.pid)
                    process.join()
                    del running[sentinel]
                    self._to.send(attempt.tried(hung, process.exitcode))

    def _attempt(self, number: int, change: Change, items: Sequence[pytest.Item]) -> _Attempt:
        file, profile = str(self._tree / change.file), self._profile
        try:
            calling = profile.calling(file, list(changed_functions(change.before, change.after)))
        except NotPatchable:
            return _Attempt(number, None)
        quick = [each for each in items if each.nodeid in calling and profile.seconds[each.nodeid] < _QUICK_SECONDS]
        quick.sort(key=lambda each: profile.seconds[each.nodeid])
        # Code that ran at import may be called by no test, and calls in another process are not recorded.
        left: tuple[str, ...] | None = None
        if "" not in calling:
            files = {test.partition("::")[0] for test in profile.outside}
            tried = {each.nodeid for each in quick}
            left = tuple(
                each.nodeid
                for each in items
                if each.nodeid not in tried and (each.nodeid in calling or each.nodeid.partition("::")[0] in files)
            )
        if not quick:
            return _Attempt(number, left)
        process = _FORK.Process(target=self._try, args=(file, change, quick))
        process.start()
        return _Attempt(number, left, process, 30 + 10 * sum(profile.seconds[each.nodeid] for each in quick))

    def _try(self, file: str, change: Change, items: Sequence[pytest.Item]) -> None:
        os.setsid()
        try:
            patch(file, change.before, change.after)
        except NotPatchable:
            os._exit(_NOT_PATCHABLE)
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if self._failed:
                os._exit(_NOTICED)
        os._exit(0)


@dataclass(frozen=True, slots=True)
class _Attempt:
    number: int
    left: tuple[str, ...] | None
    process: multiprocessing.context.ForkProcess | None = None
    seconds: float = 0.0

    def tried(self, hung: bool, code: int | None) -> Tried:
        if code in (_FAULT, _NOT_PATCHABLE):  # a new process has to decide
            return Tried(self.number, noticed=False)
        # An edit that ends the process by a signal is noticed as well.
        return Tried(self.number, noticed=code != 0, hung=hung, left=self.left)


def _end_group(group: int) -> None:
    """Kill a copy, with the servers that its tests started."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
