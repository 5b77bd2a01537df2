"""The commands and the document of scripts/clients/apps.md."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.oauth.client_document import read_document
from tests.cli.command import command
from tests.cli.examples import example, fits
from tests.console.conftest import console_server
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server, prepared_database
from tests.support.walkthrough import steps

PAGE = ROOT / "scripts" / "clients" / "apps.md"


@pytest.fixture
def open_server(issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    """A server at which apps register themselves."""
    address = "http://127.0.0.1"
    with console_server(issuer, tmp_path, public_url=address, app_registration="true") as started:
        yield started


def test_an_app_is_registered_as_shown(tmp_path: Path) -> None:
    file = tmp_path / "authz.db"
    file.write_bytes(prepared_database().read_bytes())
    words = "apps add Scores --redirect https://scores.example/callback --confidential"
    done = command(*words.split(), env={"AUTHZ_DATABASE_URL": f"sqlite:///{file}"})
    assert fits(done.stdout, example(f"authz {words}", PAGE))


def test_the_document_describes_an_app() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    client_id = json.loads(block)["client_id"]
    client = read_document(client_id, block.encode(), datetime.now(UTC))
    assert (client.name, client.host, len(client.redirect_uris)) == ("Scores", "scores.example", 2)


def test_an_app_registers_itself_as_shown(open_server: Server) -> None:
    (step,) = [each for each in steps(PAGE) if "/oauth/register" in each.command]
    run = ["bash", "-c", step.command.replace("http://127.0.0.1:8000", open_server.url)]
    printed = subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout
    assert fits(printed, step.shown.rstrip("\n"))
