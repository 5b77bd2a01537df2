"""`authz dev` and `authz token`: settings are used, and every minted token is accepted."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import jwt

from tests.cli.command import command
from tests.support.forked_process import program
from tests.support.server import ROOT, eventually, free_port


def test_dev_uses_the_settings_and_tokens_come_from_its_issuer(tmp_path: Path) -> None:
    port, issuer_port = free_port(), free_port()
    log = tmp_path / "log"
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    env = {
        **clean,
        "AUTHZ_PORT": str(port),
        "AUTHZ_POLICY_DIR": str(ROOT / "policies"),
        "AUTHZ_DATABASE_URL": "sqlite:///elsewhere.db",
        "AUTHZ_SERVER": "granian",
        "AUTHZ_WORKERS": "4",
    }
    run = [str(program()), "dev", "--issuer-port", str(issuer_port), "--data-dir", "data", "--mcp"]
    with log.open("w") as out, subprocess.Popen(run, cwd=tmp_path, env=env, stdout=out, stderr=out) as dev:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 60), log.read_text()
            said = log.read_text()
            assert "AUTHZ_DATABASE_URL, AUTHZ_WORKERS: not used by `authz dev`" in said
            mints = f"authz token --issuer-port {issuer_port} --data-dir data"
            assert f"{mints} prints its tokens" in said
            found = re.search(r"Database +AUTHZ_DATABASE_URL=(\S+)", said)
            assert found
            listed = command("apps", "list", cwd=ROOT, env={**clean, "AUTHZ_DATABASE_URL": found[1]})
            assert '"Sample app"' in listed.stdout, listed.stderr
            minted = command(*mints.split()[1:], cwd=tmp_path, env=clean)
            assert (minted.returncode, minted.stderr) == (0, "")
            headers = {"Authorization": f"Bearer {minted.stdout.strip()}"}
            answer = httpx.get(f"http://127.0.0.1:{port}/api/v1/teams/", headers=headers)
            assert (answer.status_code, answer.headers["server"]) == (200, "granian")
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "list_teams"}}
            called = httpx.post(f"http://127.0.0.1:{port}/mcp", json=message, headers=headers)
            assert "Arizona Cardinals" in called.text

            acted = command(
                *mints.split()[1:], "--org", "org_a", "--org-role", "admin", "--act", "support", cwd=tmp_path
            )
            claims = jwt.decode(acted.stdout.strip(), options={"verify_signature": False})
            assert (claims["org_id"], claims["org_role"], claims["act"]) == ("org_a", "org:admin", {"sub": "support"})
            lacks = command(*mints.split()[1:], "--org-role", "admin", cwd=tmp_path)
            assert (lacks.returncode, "--org-role needs --org." in lacks.stderr) == (2, True)

            elsewhere = command("token", "--issuer-port", str(issuer_port), cwd=tmp_path, env=clean)
            assert (elsewhere.returncode, elsewhere.stdout) == (1, "")
            assert "there is no issuer in .authz" in elsewhere.stderr
            assert not (tmp_path / ".authz").exists()

            second = command("dev", *run[2:4], "--data-dir", "second", "--port", "0", cwd=tmp_path, env=clean)
            assert second.returncode == 1
            assert second.stderr.endswith("Address already in use. Choose another --issuer-port.\n")
            own = ("dev", "--port", str(same := free_port()), "--issuer-port", str(same), "--data-dir", "third")
            for host in ("127.0.0.1", "0.0.0.0"):
                third = command(
                    *own, "--host", host, cwd=tmp_path, env={**clean, "AUTHZ_POLICY_DIR": env["AUTHZ_POLICY_DIR"]}
                )
                assert third.returncode == 1
                assert (
                    third.stderr
                    == f"authz: cannot listen on {host}:{same}: Address already in use. Choose another --port.\n"
                )
            assert command("token", "--issuer-port", "65536", cwd=tmp_path, env=clean).returncode == 2
            other = command("token", *run[2:4], "--data-dir", "second", cwd=tmp_path, env=clean)
            assert (other.returncode, other.stdout) == (1, "")
            assert f"the issuer at http://127.0.0.1:{issuer_port} is not the one in second" in other.stderr
        finally:
            dev.terminate()
            dev.wait(20)
    assert "Traceback" not in log.read_text()
    idle = command(*mints.split()[1:], cwd=tmp_path, env=clean)
    assert (idle.returncode, idle.stdout.count(".")) == (0, 2)
    assert f"no issuer answers at http://127.0.0.1:{issuer_port}" in idle.stderr


def test_dev_applies_the_connection_limits_of_the_settings(tmp_path: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    env = {**clean, "AUTHZ_POLICY_DIR": str(ROOT / "policies"), "AUTHZ_CONNECTIONS_PER_PEER": "2"}
    log, port = tmp_path / "log", free_port()
    run = [str(program()), "dev", "--port", str(port), "--issuer-port", "0"]
    with log.open("w") as out, subprocess.Popen(run, cwd=tmp_path, env=env, stdout=out, stderr=out) as dev:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 60), log.read_text()
            url = f"http://127.0.0.1:{port}/healthz"
            with httpx.Client() as first, httpx.Client() as second, httpx.Client() as third:
                assert [client.get(url).status_code for client in (first, second, third)] == [200, 200, 429]
        finally:
            dev.terminate()
            dev.wait(20)
