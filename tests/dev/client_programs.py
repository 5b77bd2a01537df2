"""Programs that use a client library of another party, and a person who answers for all of them in one browser."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from playwright.sync_api import BrowserContext, Page

SECONDS = 90.0
_STEP_MS = 20
_Visit = tuple[str, str | None]  # a program, and which of its flows


class ClientProgram:
    """A running program. It writes lines with a `visit` or the final `report`, and reads where each visit ended."""

    def __init__(
        self, command: Sequence[str], given: Mapping[str, str], directory: Path, env: Mapping[str, str]
    ) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()
        self.send(given)

    def send(self, message: Mapping[str, str | None]) -> None:
        """Write a line to the program."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def fault(self) -> str:
        """What the program wrote when it failed."""
        assert self._process.stderr
        return self._process.stderr.read()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self.lines.put(json.loads(line))
        self.lines.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


class Person:
    """A person who is signed in, and allows what each program asks for. All pages are open at the same time."""

    def __init__(self, context: BrowserContext, redirect: str) -> None:
        self._context = context
        self._redirect = redirect
        self._pages: dict[_Visit, Page] = {}

    def open(self, visit: _Visit, address: str) -> None:
        """Open a page for a program."""
        page = self._pages[visit] = self._context.new_page()
        page.goto(address)

    @property
    def unfinished(self) -> Mapping[_Visit, str]:
        """Where the visits are that have not ended."""
        return {visit: page.url for visit, page in self._pages.items()}

    def answered(self) -> Mapping[_Visit, str]:
        """Allow what can be allowed now; return where the finished visits ended."""
        ended = {visit: page.url for visit, page in self._pages.items() if page.url.startswith(self._redirect)}
        for visit in ended:
            self._pages.pop(visit).close()
        for page in self._pages.values():
            allow = page.get_by_role("button", name="Allow", exact=True)
            if "/console/consent/" in page.url and allow.is_enabled():
                allow.click()
        if self._pages:
            next(iter(self._pages.values())).wait_for_timeout(_STEP_MS)
        return ended


def reports(programs: Mapping[str, ClientProgram], person: Person) -> dict[str, Any]:
    """What the programs report, by name, or what they wrote when they failed."""
    found: dict[str, Any] = {}
    ends = time.monotonic() + SECONDS
    while len(found) < len(programs):
        missing = programs.keys() - found.keys()
        assert time.monotonic() < ends, f"no report of {missing}; unfinished visits: {person.unfinished}"
        for name, program in programs.items():
            if name in found or program.lines.empty():
                continue
            line = program.lines.get()
            if line is None:
                found[name] = {"fault": program.fault()}
            elif "visit" in line:
                person.open((name, line.get("flow")), line["visit"])
            else:
                found[name] = line["report"]
        for (name, flow), address in person.answered().items():
            programs[name].send({"redirected": address, "flow": flow})
        time.sleep(0.005)
    return found
