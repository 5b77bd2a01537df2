"""The commands of scripts/clients/mcp.md."""

from __future__ import annotations

import re
import shlex
import subprocess

from app.dev.mcp_tools import TOOLS
from app.dev.people import PEOPLE
from tests.cli.command import command
from tests.cli.examples import fits
from tests.support.dev_server import DevServer
from tests.support.server import ROOT
from tests.support.walkthrough import steps

PAGE = ROOT / "scripts" / "clients" / "mcp.md"
LOCAL = "http://127.0.0.1:8000"


def test_the_challenge_is_as_shown(dev: DevServer) -> None:
    (step,) = [each for each in steps(PAGE) if "curl" in each.command]
    run = ["bash", "-c", step.command.replace(LOCAL, dev.url)]
    printed = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout
    assert fits(printed.replace("\r", "").replace(dev.url, LOCAL), step.shown.rstrip("\n"))


def test_an_app_is_registered_as_shown(dev: DevServer) -> None:
    (step,) = [each for each in steps(PAGE) if "apps add" in each.command]
    env = {"AUTHZ_DATABASE_URL": f"sqlite:///{dev.directory / 'data' / 'authz.db'}"}
    done = command(*shlex.split(step.command)[1:], env=env)
    assert done.returncode == 0, done.stderr
    assert "is registered" in done.stdout


def test_what_the_page_says_of_tools_and_people(dev: DevServer) -> None:
    text = PAGE.read_text()
    rows = (dev.directory / "data" / "mcp-policies" / "mcp.csv").read_text()
    for tool in TOOLS:
        (permission,) = re.findall(rf"^p, (\S+), mcp:/mcp/tools/{tool.name},", rows, re.MULTILINE)
        assert re.search(rf"`{tool.name}` needs\s+`{permission}`", text), tool.name
    for person in PEOPLE:
        if person.name in text:
            assert ("holdings:write" in person.permissions) is (person.name == "Erin Evans")
            assert "catalog:read" in person.permissions
