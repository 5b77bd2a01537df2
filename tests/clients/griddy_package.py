"""The SDKs as their users get them: built, and installed into an empty environment."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.node_packages import CACHE, NPM, node_packages
from tests.support.server import ROOT

PYTHON = ROOT / "scripts" / "sdk" / "python"
TYPESCRIPT = ROOT / "scripts" / "sdk" / "typescript"
LOCK = ROOT / "scripts" / "requirements" / "sdk.txt"
_BUILD = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"


def python_package() -> Path:
    """The interpreter of an environment that has the SDK for Python, built as a wheel, and what it needs."""
    files = [*PYTHON.glob("griddy/*"), PYTHON / "pyproject.toml", PYTHON / "README.md", PYTHON / "LICENSE", LOCK]
    with _built(ROOT / ".venv" / "tools", "sdk", files) as (directory, is_built):
        interpreter = directory / "environment" / "bin" / "python"
        if not is_built:
            venv.create(directory / "environment", with_pip=False)
            build = [sys.executable, "-c", _BUILD, str(directory)]
            wheel = _output(build, PYTHON).strip()
            pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-deps"]
            _output([*pip, "--require-hashes", "-r", str(LOCK)], directory)
            _output([*pip, "--no-index", str(directory / wheel)], directory)
    return interpreter


def typescript_package() -> Path:
    """The directory in which the SDK for TypeScript is installed, packed by npm; nothing else is."""
    names = ("package.json", "package-lock.json", "tsconfig.json", "README.md", "LICENSE")
    files = [*TYPESCRIPT.glob("src/*.ts"), *(TYPESCRIPT / name for name in names)]
    packages = node_packages(TYPESCRIPT)
    with _built(CACHE, "griddy", files) as (directory, is_built):
        if not is_built:
            for file in files:
                copy = directory / "source" / file.relative_to(TYPESCRIPT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, copy)
            (directory / "source" / "node_modules").symlink_to(packages / "node_modules")
            packed = _output([*NPM, "pack", "--silent", "--pack-destination", ".."], directory / "source").strip()
            (directory / "app").mkdir()
            _output([*NPM, "install", "--offline", "--no-audit", f"../{packed}"], directory / "app")
    return directory / "app"


def place(directory: Path, name: str, text: str) -> Path:
    """Write a program beside the packages that it imports, whole at any time: other test processes do the same."""
    written = directory / f".{os.getpid()}-{name}"
    written.write_text(text)
    return written.replace(directory / name)


@contextmanager
def _built(parent: Path, name: str, files: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """A directory for each state of the files, and whether it is built; no other process builds at the same time."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0" if file.is_file() else b"")
    directory = parent / f"{name}-{digest.hexdigest()[:16]}"
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / f".{name}-lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        is_built = (directory / "built").exists()
        if not is_built:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
        yield directory, is_built
        (directory / "built").touch()


def _output(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
