"""The tour of the README works: its commands are run."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import AUTHZ, ROOT, eventually
from tests.support.walkthrough import URL, Ids, steps


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dev") / "data"


@pytest.fixture(scope="module")
def printed(data: Path) -> Iterator[str]:
    """What `authz dev` prints when it is started as scripts/serve does. It serves until the tests end."""
    log = data.with_name("printed")
    command = [str(AUTHZ), "dev", "--port", "0", "--issuer-port", "0", "--data-dir", str(data)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
    with log.open("w") as out, subprocess.Popen(command, cwd=ROOT, env=env, stdout=out, stderr=out) as dev:
        try:
            assert eventually(lambda: "Stop with Ctrl-C." in log.read_text(), 60), log.read_text()
            yield log.read_text()
        finally:
            dev.terminate()
            dev.wait(20)


def _run(script: str) -> str:
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout


def _to_paste(printed: str, *starts: str) -> str:
    lines = [line.strip() for line in printed.splitlines()]
    return "\n".join(line for line in lines if line.startswith(starts))


def test_the_tour_has_the_shown_output(printed: str) -> None:
    shown = [step for step in steps(ROOT / "README.md") if step.command.startswith("curl -i ")]
    assert [step.shown.split("\n")[0] for step in shown] == [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 403 Forbidden",
        "HTTP/1.1 401 Unauthorized",
    ]
    serving = re.search(r"Griddy API +(http://\S+)", printed)
    assert serving
    for step in shown:
        done = _run(f"{_to_paste(printed, 'JWT=', 'KEY=')}\n{step.command.replace(URL, serving[1])}")
        found = done.replace("\r\n", "\n").rstrip("\n").replace(serving[1], URL)
        assert Ids().matches(found, step.shown), done


def test_the_commands_that_dev_prints_work(printed: str, data: Path) -> None:
    done = _run(_to_paste(printed, "JWT=", "KEY=", "#", "curl "))
    assert re.findall(r"HTTP/1.1 (\d+)", done) == ["200", "200", "403", "401"]
    assert (data / "authz.db").stat().st_mode & 0o077 == 0
