"""The page about the export to a SIEM matches the program."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.db.siem_cursors import LEASE_SECONDS
from app.siem import cloud_events
from app.siem.delivery import FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS, MAX_BYTES, PAGE_SIZE
from app.siem.event import OCSF_VERSION
from app.siem.sender import SEND_SECONDS
from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server, eventually, free_port

PAGE = (ROOT / "scripts" / "deploy" / "siem.md").read_text()
COMMANDS = re.findall(r"^    \$ (.+)$", PAGE, flags=re.MULTILINE)
SHOWN = json.loads(re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)[0])


def test_the_numbers_are_those_of_the_program() -> None:
    assert f"at most {PAGE_SIZE} records or {MAX_BYTES:,} bytes" in PAGE
    assert f"after at most {LEASE_SECONDS:g} seconds" in PAGE
    assert f"no answer in {SEND_SECONDS:g} seconds" in PAGE
    assert (FIRST_RETRY_SECONDS, f"up to {LAST_RETRY_SECONDS:g} seconds" in PAGE) == (1.0, True)
    assert f"(https://schema.ocsf.io) {OCSF_VERSION}," in PAGE
    assert f"`{cloud_events.CONTENT_TYPE}`" in PAGE


@pytest.mark.parametrize("name", ["otlp", "cloudevents"])
def test_the_try_it_part_works(name: str, tmp_path: Path, issuer: LiveIssuer) -> None:
    """With both formats, and with other ports than the page, which may be in use."""
    start_receiver, serve, request, status = COMMANDS
    port = str(free_port())
    words = [sys.executable, *shlex.split(start_receiver.replace("4318", port))[1:]]
    assignment, _ = serve.split()
    address = assignment.partition("=")[2].replace("4318", port)
    assert assignment.startswith("AUTHZ_SIEM_OTLP_URL=")
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        assert receiver.stderr is not None
        assert receiver.stderr.readline() == f"listening on http://127.0.0.1:{port}\n"
        try:
            settings = {f"siem_{name}_url": address}
            with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, **settings) as server:
                path = httpx.URL(request.split()[-1]).path
                assert httpx.get(f"{server.url}{path}").status_code == 401
                events = map(json.loads, receiver.stdout)
                event = next(event for event in events if event["class_uid"] == SHOWN["class_uid"])
                assert {key: event[key] for key in SHOWN} == SHOWN

                def delivered() -> bool:
                    return " 0 to deliver" in command(*status.split()[1:], env=server.env, cwd=tmp_path).stdout

                assert eventually(delivered, 20)
        finally:
            receiver.terminate()
