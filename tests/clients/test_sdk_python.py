"""The SDK for Python: its page runs in an environment of its own, and its models are those of the document."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

import httpx
import pytest

from scripts.sdk.write_models import PACKAGE, models
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server

SDK = ROOT / "scripts" / "sdk" / "python"
LOCK = ROOT / "scripts" / "requirements" / "sdk.txt"
BUILD = "import sys; from flit_core.buildapi import build_wheel; print(build_wheel(sys.argv[1]))"
EXPECTED = ("2025-02-09T23:30:00Z 40 22", "['Cardinals', 'Falcons', 'Ravens']", "National Football League\nTrue")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the SDK, built as a wheel, and what it needs; nothing else."""
    environment = ROOT / ".venv" / "tools" / f"sdk-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    interpreter = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(interpreter), "install", "--quiet", "--no-deps"]
    if not environment.exists():
        venv.create(environment, with_pip=False)
        subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)
    wheels = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(wheels)], cwd=SDK, check=True, capture_output=True, text=True
    )
    subprocess.run([*pip, "--no-index", "--force-reinstall", str(wheels / built.stdout.strip())], check=True)
    return interpreter


def test_each_program_of_the_page_runs(sample_server: Server, issuer: LiveIssuer, python: Path, tmp_path: Path) -> None:
    programs = re.findall(r"```python\n(.*?)```", (SDK / "README.md").read_text(), flags=re.DOTALL)
    assert len(programs) == len(EXPECTED)
    token = issuer.token(permissions=["catalog:read"])
    env = {**os.environ, "GRIDDY_URL": sample_server.url, "GRIDDY_TOKEN": token}
    for program, expected in zip(programs, EXPECTED, strict=True):
        done = subprocess.run(
            [python, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), program
        assert expected in done.stdout
    env["GRIDDY_TOKEN"] = issuer.token(permissions=[])
    refused = subprocess.run([python, "-c", programs[0]], env=env, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (1, "ask for more scope: catalog:read\n")


def test_the_models_are_those_of_the_document(server: Server) -> None:
    document = httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    for name, text in models(document).items():
        assert (PACKAGE / f"{name}.py").read_text() == text, "run `python -m scripts.sdk.write_models`"
