"""A real server process, with its own policy directory, database and log."""

from __future__ import annotations

import atexit
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.support.forked_process import ForkedProcess, run

ROOT = Path(__file__).parents[2]
AUTHZ = Path(sys.executable).parent / "authz"
AUDIENCE = "griddy-api"
START_SECONDS = 60.0
DATABASE = "authz.db"


class Server:
    """`authz serve`, or another command that logs `listening`, on a free port."""

    def __init__(
        self,
        directory: Path,
        *,
        jwks_url: str,
        issuer: str,
        command: tuple[str, ...] = (str(AUTHZ), "serve", "--port", "0"),
        policies: Path | None = None,
        **settings: str,
    ) -> None:
        self.directory = directory
        self.policy_dir = directory / "policies"
        if not self.policy_dir.exists():
            shutil.copytree(policies or ROOT / "policies", self.policy_dir)
        self.env: dict[str, str] = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")},
            "AUTHZ_DATABASE_URL": f"sqlite:///{directory / DATABASE}",
            "AUTHZ_POLICY_DIR": str(self.policy_dir),
            "AUTHZ_JWKS_URL": jwks_url,
            "AUTHZ_ISSUER": issuer,
            "AUTHZ_AUDIENCE": AUDIENCE,
            "AUTHZ_KEY_MAX_ACTIVE": "100000",  # one user issues the keys of many tests
            **{f"AUTHZ_{name.upper()}": value for name, value in settings.items()},
        }
        self._command = command
        self.lines: list[str] = []
        self._entries: dict[str, dict[str, Any]] = {}  # by their lines: a test that waits reads the log again and again
        self._line_arrived = threading.Event()
        self.process: subprocess.Popen[str] | ForkedProcess | None = None
        self.url = ""

    def start(self) -> Self:
        """Prepare the database, start, and wait until it listens. Raises RuntimeError with the log if it does not."""
        own = f"sqlite:///{self.directory / DATABASE}"
        if self.env["AUTHZ_DATABASE_URL"] == own and not (self.directory / DATABASE).exists():
            shutil.copy(prepared_database(), self.directory / DATABASE)
        program, *words = self._command
        if program == str(AUTHZ) or words[:1] == ["-m"]:
            self.process = ForkedProcess(words, self.env, self.directory)
        else:
            self.process = subprocess.Popen(
                self._command,
                env=self.env,
                cwd=self.directory,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            line = self.wait_for_log(lambda entry: entry.get("event") == "listening", START_SECONDS)
        except RuntimeError:
            self.stop()
            raise
        self.url = str(line["url"])
        return self

    def _read(self) -> None:
        assert self.process
        assert self.process.stderr
        with self.process.stderr as log:
            for line in log:
                self.lines.append(line.rstrip("\n"))
                self._line_arrived.set()

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log so far; a line that is not JSON is under `raw`."""
        return [self._entries.get(line) or self._parse(line) for line in list(self.lines)]

    def _parse(self, line: str) -> dict[str, Any]:
        entry = self._entries[line] = json.loads(line) if line.startswith("{") else {"raw": line}
        return entry

    def written_lines(self) -> list[str]:
        """The lines of the log when those of all requests so far are written. Needs one worker and its access log."""
        request_id = f"written-{random.getrandbits(64)}"
        assert httpx.get(f"{self.url}/healthz", headers={"X-Request-ID": request_id}).status_code == 200
        self.wait_for_log(lambda entry: entry.get("request_id") == request_id)
        return list(self.lines)

    def written_log(self) -> list[dict[str, Any]]:
        """The log, likewise."""
        self.written_lines()
        return self.log

    def wait_for_log(self, wanted: Callable[[Mapping[str, Any]], bool], seconds: float = 10.0) -> dict[str, Any]:
        """The first log line that matches. Raises RuntimeError with the log if there is none in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            has_ended = self.process is not None and self.process.poll() is not None
            if has_ended:
                self._reader.join(5)  # reads the rest of the log
            for entry in self.log:
                if wanted(entry):
                    return entry
            if has_ended:
                break
            self._line_arrived.wait(0.02)
            self._line_arrived.clear()
        raise RuntimeError("the server did not say so:\n" + "\n".join(self.lines))

    def client(self, token: str | None = None) -> httpx.Client:
        """An HTTP client of this server, with a bearer token if one is given."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        assert self.process
        self.process.send_signal(number)

    def stop(self) -> int:
        """Terminate it as an operator would; return the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        try:
            code = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        self._reader.join(5)
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


@cache
def prepared_database() -> Path:
    """An upgraded database, made once and copied, since most tests need a new one."""
    path = Path(tempfile.mkdtemp(prefix="authz-")) / DATABASE
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    env = {**os.environ, "AUTHZ_DATABASE_URL": f"sqlite:///{path}"}
    run("db", "upgrade", env=env, cwd=path.parent).check_returncode()
    return path


def database_copy(directory: Path) -> str:
    """The URL of a copy of that database."""
    path = directory / DATABASE
    path.write_bytes(prepared_database().read_bytes())
    return f"sqlite:///{path}"


def free_port() -> int:
    """A free port below the range of ephemeral ports."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def eventually(check: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether a check becomes true within a time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.02)
    return check()
