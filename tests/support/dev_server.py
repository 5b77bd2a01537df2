"""A real `authz dev` process, with what it prints."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.server import AUTHZ, ROOT, eventually, free_port

READY = "Stop with Ctrl-C."


@dataclass(frozen=True, slots=True)
class DevServer:
    """A running `authz dev` in a directory. `printed` is its output so far."""

    directory: Path
    url: str
    log: Path

    @property
    def printed(self) -> str:
        return self.log.read_text()

    def address(self, name: str) -> str:
        """An address that it printed."""
        found = re.search(rf"^  {name} +(http\S+)", self.printed, re.MULTILINE)
        assert found, self.printed
        return found[1]


@contextmanager
def dev_server(
    directory: Path, *options: str, program: Sequence[str] = (str(AUTHZ), "dev"), **settings: str
) -> Iterator[DevServer]:
    """Start `authz dev` with the shipped policy, on free ports."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    env = {**clean, "AUTHZ_POLICY_DIR": str(ROOT / "policies"), "PYTHONPATH": str(ROOT), **settings}
    log, port = directory / "log", free_port()
    run = [*program, "--port", str(port), "--issuer-port", "0", "--data-dir", "data", *options]
    with log.open("w") as out, subprocess.Popen(run, cwd=directory, env=env, stdout=out, stderr=out) as process:
        try:
            assert eventually(lambda: READY in log.read_text() or process.poll() is not None, 60), log.read_text()
            assert READY in log.read_text(), log.read_text()
            yield DevServer(directory, f"http://127.0.0.1:{port}", log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
