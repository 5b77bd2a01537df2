"""The tour of the README works: its commands are run."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, ROOT, Server, eventually
from tests.support.walkthrough import Ids, steps


def test_the_tour_has_the_shown_output(sample_server: Server, issuer: LiveIssuer) -> None:
    shown = [step for step in steps(ROOT / "README.md") if step.command.startswith("curl -i ")]
    assert [step.shown.split("\n")[0] for step in shown] == [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 403 Forbidden",
        "HTTP/1.1 401 Unauthorized",
    ]
    jwt = issuer.token(permissions=["catalog:read"])
    with sample_server.client(jwt) as client:
        key = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()["plaintext"]
    for step in shown:
        command = ["bash", "-c", step.command.replace("http://127.0.0.1:8000", sample_server.url)]
        env = {**os.environ, "JWT": jwt, "KEY": key}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        assert Ids().matches(done.stdout.replace("\r\n", "\n").rstrip("\n"), step.shown), done.stdout


def test_the_commands_that_dev_prints_work(tmp_path: Path) -> None:
    """Start `authz dev` as scripts/serve does, and run the commands that it prints in a shell."""
    log = tmp_path / "printed"
    command = [str(AUTHZ), "dev", "--port", "0", "--issuer-port", "0", "--data-dir", str(tmp_path / "data")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out) as dev:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 60), log.read_text()
            printed = log.read_text()
            lines = [line.strip() for line in printed.splitlines()]
            script = "\n".join(line for line in lines if line.startswith(("JWT=", "KEY=", "#", "curl ")))
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
        finally:
            dev.terminate()
            dev.wait(20)
    assert re.findall(r"HTTP/1.1 (\d+)", done.stdout) == ["200", "200", "403", "401"]
    assert (tmp_path / "data" / "authz.db").stat().st_mode & 0o077 == 0
