"""The commands and the document of scripts/clients/apps.md."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from app.oauth.client_document import read_document
from app.oauth.errors import ErrorCode
from tests.cli.command import command
from tests.cli.examples import example, fits
from tests.console.conftest import server_for_apps
from tests.oauth.asking import answer_of, click, new_browser, opened
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server, database_copy
from tests.support.walkthrough import steps

PAGE = ROOT / "scripts" / "clients" / "apps.md"
LOCAL = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def open_server(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server at which apps register themselves."""
    server = server_for_apps(issuer, tmp_path_factory.mktemp("apps"), app_registration="true")
    with server:
        yield server


def run(server: Server, command: str, known: Mapping[str, str] | None = None) -> str:
    """What a command of the page prints, at a server, with variables."""
    words = ["bash", "-c", command.replace(LOCAL, server.url)]
    env = {**os.environ, **(known or {})}
    return subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True).stdout


def test_an_app_is_registered_as_shown(tmp_path: Path) -> None:
    words = "apps add Scores --redirect https://scores.example/callback --confidential"
    done = command(*words.split(), env={"AUTHZ_DATABASE_URL": database_copy(tmp_path)})
    assert fits(done.stdout, example(f"authz {words}", PAGE))


def test_the_document_describes_an_app() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    client_id = json.loads(block)["client_id"]
    client = read_document(client_id, block.encode(), datetime.now(UTC))
    assert (client.name, client.host, len(client.redirect_uris)) == ("Scores", "scores.example", 2)


def test_an_app_registers_itself_as_shown(open_server: Server) -> None:
    (step,) = [each for each in steps(PAGE) if "/oauth/register" in each.command]
    assert fits(run(open_server, step.command), step.shown.rstrip("\n"))


def test_the_table_has_all_errors() -> None:
    table = PAGE.read_text().partition("\n## Errors")[2]
    rows = re.findall(r"^\| (`[^|]+) \|", table, flags=re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows[1:]))) == sorted(get_args(ErrorCode))


def test_the_flow_by_curl_is_as_shown(open_server: Server, issuer: LiveIssuer) -> None:
    app = ServedApp(open_server)
    app.change(redirect_uris=["http://127.0.0.1/callback"], host=None)
    after = PAGE.read_text().partition("\n## With curl")[0].count("\n")
    verifier, challenge, address, *calls = [each for each in steps(PAGE) if each.line > after]
    known = {"ID": app.client_id}
    for step, name in ((verifier, "verifier"), (challenge, "challenge")):
        known[name] = run(open_server, f'{step.command}; printf %s "${name}"', known)
    asked = run(open_server, address.command, known)
    assert fits(asked, address.shown.replace(LOCAL, open_server.url) + "\n")
    visitor = new_browser(open_server)
    with visitor.http:
        page = opened(visitor, issuer, visitor.get(asked.strip().removeprefix(open_server.url)))
        known["CODE"] = answer_of(click(visitor, page), "http://127.0.0.1/callback")["code"]
    for step in calls:
        printed = run(open_server, step.command, known)
        assert fits(printed.rstrip("\n"), step.shown), step.command
        if "grant_type=authorization_code" in step.command:
            issued = json.loads(printed)
            known |= {"TOKEN": issued["access_token"], "REFRESH": issued["refresh_token"]}
        elif "grant_type=refresh_token" in step.command:
            known["REFRESH"] = json.loads(printed)["refresh_token"]
    with open_server.client(known["TOKEN"]) as client:
        assert client.get("/api/v1/teams/1/").json() == {"detail": "Token has been revoked."}
