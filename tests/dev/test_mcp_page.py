"""The commands of scripts/clients/mcp.md."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx

from app.dev.mcp_tools import TOOLS
from app.dev.people import PEOPLE
from tests.cli.command import command
from tests.cli.examples import fits
from tests.oauth.asking import fields_of
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


def test_the_client_of_the_page_steps_up_to_write(dev: DevServer) -> None:
    (words,) = re.findall(r"`python (scripts/clients/mcp_client\.py [^`]+)`", PAGE.read_text())
    run = [sys.executable, *words.replace(LOCAL, dev.url).split()]
    # `true` is the browser that webbrowser opens.
    with (
        subprocess.Popen(
            run, cwd=ROOT, env={**os.environ, "BROWSER": "true"}, stdout=subprocess.PIPE, text=True
        ) as client,
        httpx.Client(base_url=dev.url, timeout=20) as person,
    ):
        assert client.stdout is not None
        for scope in ("catalog:read holdings:read", "catalog:read holdings:read holdings:write"):
            address = client.stdout.readline().partition(" at ")[2].strip()
            assert parse_qs(urlsplit(address).query)["scope"] == [scope]
            allow(person, address, "user_erin")
        assert client.stdout.read() == "Added the tag blitz for user_erin.\n"
    assert client.returncode == 0


def allow(person: httpx.Client, address: str, subject: str) -> None:
    """Follow a browser without scripts to the consent, sign in if that is needed, and allow the app."""
    page = person.get(address, follow_redirects=True)
    if "/console/sign-in" in str(page.url):
        begin = unescape(re.findall(r'href="(/console/sign-in/start[^"]*)"', page.text)[0])
        chosen = person.get(begin, follow_redirects=True)
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', chosen.text))
        fields = {name: unescape(value) for name, value in form.items()}
        page = person.post(chosen.url, data={**fields, "person": subject}, follow_redirects=True)
    fields = fields_of(page)
    answered = person.post(page.url, data={**fields, "decision": "allow"}, headers={"Origin": str(person.base_url)})
    httpx.get(answered.headers["location"])
