"""Runs the commands of the walkthrough, and compares their output with the page.

Output is compared word by word. `…` matches anything within a line, and alone on a line any number of lines. A time
matches any time, and a latency any other. A revision matches the one that replaces it from then on, also in commands,
wherever the policy files differ.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tests.cli.command import command
from tests.support.forked_process import program
from tests.support.server import AUTHZ, eventually

URL = "http://127.0.0.1:8000"
_PATIENCE = 6.0
# On a page: a revision, a time in either format, a latency, and an omission.
_VARYING = re.compile(
    r"(?P<id>\b[0-9a-f]{16}\b)"
    r"|(?P<time>\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?)"
    r"|(?P<number>(?<=\"latency_us\":)\d+)"
    r"|(?P<rest>…)"
)
_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)?"


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, and the output that the page shows."""

    line: int
    command: str
    shown: str


def steps(page: Path) -> list[Step]:
    """The commands of a page, in order."""
    found: list[Step] = []
    lines = page.read_text().split("\n")
    number = 0
    while number < len(lines):
        if not lines[number].startswith("    $ "):
            number += 1
            continue
        start = number
        words = lines[number][6:]
        number += 1
        while not _is_complete(words):
            words += "\n" + lines[number][4:]
            number += 1
        shown: list[str] = []
        while number < len(lines) and (not lines[number] or lines[number].startswith("    ")):
            if lines[number].startswith("    $ "):
                break
            shown.append(lines[number][4:])
            number += 1
        found.append(Step(start + 1, words, "\n".join(shown).rstrip("\n")))
    return found


def _is_complete(words: str) -> bool:
    """Whether the command is complete, so that a shell would not wait for another line."""
    read = subprocess.run(["bash", "-nc", words], capture_output=True, check=False)
    # For an unfinished here-document the shell only warns.
    return read.returncode == 0 and not read.stderr and not words.endswith("\\")


@dataclass(slots=True)
class Ids:
    """The ids of this run for those of the page."""

    actual: dict[str, str] = field(default_factory=dict)

    def translated(self, words: str) -> str:
        """A command of the page with the ids of this run."""
        return re.sub(r"\b[0-9a-f]{16}\b", lambda found: self.actual.get(found[0], found[0]), words)

    def matches(self, printed: str, shown: str) -> bool:
        """Whether the output matches the page; new ids are remembered if it does."""
        pattern, end, here = "", 0, set[str]()
        for found in _VARYING.finditer(shown):
            pattern += re.escape(shown[end : found.start()])
            end = found.end()
            if found["id"]:
                pattern += self._id(found["id"], here)
            elif found["rest"]:
                if shown[found.start() - 1 : found.start()] in ("", "\n") and shown[end : end + 1] == "\n":
                    pattern += r"(?:.*\n)*"
                    end += 1
                else:
                    pattern += r".*"
            else:
                pattern += _TIME if found["time"] else r"\d+"
        fits = re.fullmatch(pattern + re.escape(shown[end:]), printed)
        if fits is None:
            return False
        new = {shown_id: fits[f"id_{shown_id}"] for shown_id in here}
        taken = set(self.actual.values())
        if len({*new.values()}) < len(new) or taken & {*new.values()}:
            return False
        self.actual |= new
        return True

    def _id(self, shown: str, here: set[str]) -> str:
        if shown in self.actual:
            return re.escape(self.actual[shown])
        if shown in here:
            return f"(?P=id_{shown})"
        here.add(shown)
        return f"(?P<id_{shown}>[0-9a-f]{{16}})"


class Shell:
    """One bash from the first command to the last, in a directory. `authz` alone on a line runs in this process."""

    def __init__(self, directory: Path, url: str, issuer_port: int) -> None:
        self._directory = directory
        self._url = url
        self._issuer_port = issuer_port
        env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
        env |= {"PATH": os.pathsep.join((str(program().parent), str(AUTHZ.parent), env["PATH"]))}
        self._bash = subprocess.Popen(
            ["bash", "--norc"],
            cwd=directory,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._in.close()
        self._out.read()
        self._out.close()
        self._bash.wait(20)

    @property
    def _in(self) -> IO[str]:
        assert self._bash.stdin
        return self._bash.stdin

    @property
    def _out(self) -> IO[str]:
        assert self._bash.stdout
        return self._bash.stdout

    def run(self, words: str) -> str:
        """The output and errors of a command, with the usual address of the server."""
        words = words.replace(URL, self._url).replace("authz token ", f"authz token --issuer-port {self._issuer_port} ")
        if words.startswith("authz ") and not re.search(r"[|<>;$]", re.sub(r"'[^']*'", "", words)):
            env = dict(entry.partition("=")[::2] for entry in self._bashed("env -0").split("\0") if entry.strip())
            done = command(*shlex.split(words)[1:], cwd=self._directory, env=env)
            printed = done.stdout + done.stderr
        else:
            printed = self._bashed(words)
        return printed.replace(self._url, URL).rstrip("\n")

    def _bashed(self, words: str) -> str:
        lines: list[str] = []
        # A command that does not end in time ends the shell, and with it the test.
        ending = threading.Timer(_PATIENCE * 5, self._bash.kill)
        ending.start()
        try:
            self._in.write(f"{words}\nprintf '\\n\\036\\n'\n")
            self._in.flush()
            for line in self._out:
                if line == "\036\n":
                    return "".join(lines).removesuffix("\n")
                lines.append(line)
        finally:
            ending.cancel()
        raise RuntimeError(f"the shell ended in `{words}`:\n{''.join(lines)}")

    def expect(self, step: Step, ids: Ids) -> str:
        """Run a command of the page; return its output if that differs from the page, else an empty string.

        A command that only reads is repeated for a while: decisions are logged, and files are noticed, with a delay.
        """
        words = ids.translated(step.command)
        printed = self.run(words)
        deadline = time.monotonic() + _PATIENCE
        while not ids.matches(printed, step.shown):
            if not reads(step.command) or time.monotonic() > deadline:
                return printed or "(nothing)"
            time.sleep(0.2)
            printed = self.run(words)
        return ""


def reads(words: str) -> bool:
    """Whether a command changes nothing, so that it may be run again."""
    if words.startswith("authz "):
        return words.split()[1:3] not in (["policy", "publish"], ["policy", "rollback"]) and "--out" not in words
    return words.startswith("api ") and not re.search(r" -X | -d ", words)


@contextmanager
def dev(directory: Path) -> Iterator[tuple[str, int]]:
    """Run `authz dev` in a directory; yields its address and the port of its issuer."""
    log = directory / "dev.log"
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    env["AUTHZ_DECISION_LOG_SEAL_SECONDS"] = "3600"  # nothing is sealed yet when a page says so
    run = [str(program()), "dev", "--port", "0", "--issuer-port", "0"]
    with log.open("w") as out, subprocess.Popen(run, cwd=directory, env=env, stdout=out, stderr=out) as process:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 60), log.read_text()
            api, issuer = re.findall(r"(?:Griddy API|Local issuer) +(http://127\.0\.0\.1:\d+)", log.read_text())
            yield api, int(issuer.rpartition(":")[2])
        finally:
            process.terminate()
            process.wait(20)
