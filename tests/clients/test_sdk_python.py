"""The SDK for Python: its page runs in an environment of its own, and the models of both are those of the document."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx

from scripts.sdk.write_models import PACKAGE, TYPES, models, types
from tests.clients.griddy_package import PYTHON
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

EXPECTED = ("2025-02-09T23:30:00Z 40 22", "['Cardinals', 'Falcons', 'Ravens']", "National Football League\nTrue")


def test_each_program_of_the_page_runs(
    sample_server: Server, issuer: LiveIssuer, sdk_python: Path, tmp_path: Path
) -> None:
    programs = re.findall(r"```python\n(.*?)```", (PYTHON / "README.md").read_text(), flags=re.DOTALL)
    assert len(programs) == len(EXPECTED)
    token = issuer.token(permissions=["catalog:read"])
    env = {**os.environ, "GRIDDY_URL": sample_server.url, "GRIDDY_TOKEN": token}
    for program, expected in zip(programs, EXPECTED, strict=True):
        done = subprocess.run(
            [sdk_python, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), program
        assert expected in done.stdout
    env["GRIDDY_TOKEN"] = issuer.token(permissions=[])
    refused = subprocess.run([sdk_python, "-c", programs[0]], env=env, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (1, "ask for more scope: catalog:read\n")


def test_the_models_are_those_of_the_document(server: Server) -> None:
    document = httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    for name, text in models(document).items():
        assert (PACKAGE / f"{name}.py").read_text() == text, "run `python -m scripts.sdk.write_models`"
    assert TYPES.read_text() == types(document), "run `python -m scripts.sdk.write_models`"
