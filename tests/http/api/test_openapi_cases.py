"""A sample of what `scripts/trials/openapi_cases.py` does: requests derived from the document, with all checks on."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx

from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server

CONFIG = ROOT / "scripts" / "trials" / "openapi" / "schemathesis.toml"
SEED = 2026
# One of a table, and one that the seed draws.
ALWAYS = ("/api/v1/tags/{tag_id}", "/healthz")
DRAWN = 1


def test_requests_derived_from_the_document_are_answered_as_documented(
    sample_server: Server, issuer: LiveIssuer, tmp_path: Path
) -> None:
    document = httpx.get(f"{sample_server.url}/openapi.json", timeout=60).json()
    others = sorted(path for path in document["paths"] if path not in ALWAYS and path.startswith("/api/v1/"))
    chosen = {*ALWAYS, *random.Random(SEED).sample(others, DRAWN)}
    document["paths"] = {path: item for path, item in document["paths"].items() if path in chosen}
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    permissions = sorted(tomllib.loads((ROOT / "policies" / "permissions.toml").read_text()))
    command: list[str | Path] = [Path(sys.executable).parent / "st", "--config-file", CONFIG, "run", "openapi.json"]
    command += ["--url", sample_server.url, "--seed", str(SEED), "-n", "5", "--phases", "examples,coverage"]
    command += ["-H", f"Authorization: Bearer {issuer.token(permissions=permissions)}", "--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Tested: " in done.stdout
