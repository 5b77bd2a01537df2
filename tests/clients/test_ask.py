"""The commands of the clients, as a shell runs them, also over TLS."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.clients.asking import NODE, TOKEN, question
from tests.clients.peer import Peer
from tests.support.certificate import make
from tests.support.server import ROOT

CLIENTS = ROOT / "scripts" / "clients"
COMMANDS = {"python": (sys.executable, str(CLIENTS / "ask.py")), "typescript": (NODE, str(CLIENTS / "ask.ts"))}
# The setting of each client to trust a private certificate.
TRUST = {"python": "SSL_CERT_FILE", "typescript": "NODE_EXTRA_CA_CERTS"}
ALICE, BOB = question("alice"), question("bob")


@pytest.fixture(params=COMMANDS)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(
    language: str, url: str, questions: Sequence[Any], *options: str, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMANDS[language], "--timeout", "20", *options],
        input="".join(json.dumps(each) + "\n" for each in questions),
        env={**os.environ, "AUTHZEN_URL": url, "AUTHZEN_TOKEN": TOKEN, **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_prints_a_verdict_for_each_evaluation(language: str) -> None:
    with Peer() as peer:
        all_allowed = run(language, peer.url, [ALICE])
        mixed = run(language, peer.url, [ALICE, BOB, ALICE], "--batch", "2")
    assert (all_allowed.stdout, all_allowed.stderr, all_allowed.returncode) == ("allow\n", "", 0)
    assert (mixed.stdout, mixed.stderr, mixed.returncode) == ("allow\ndeny\nallow\n", "", 1)
    assert [request.path for request in peer.requests] == [
        "/access/v1/evaluation",
        "/access/v1/evaluations",
        "/access/v1/evaluations",
    ]


def test_it_prints_the_failure_once(language: str) -> None:
    with Peer(lambda exchange, content: exchange.answer(403, content)) as peer:
        done = run(language, peer.url, [ALICE, ALICE])
    request_id = peer.requests[0].headers["x-request-id"]
    assert done.stdout == "deny\ndeny\n"
    assert (
        done.stderr
        == f"the decision point answered 403: our token lacks decisions:evaluate or tokens:introspect ({request_id})\n"
    )
    assert done.returncode == 1


def test_it_accepts_only_a_trusted_certificate(language: str, tmp_path: Path) -> None:
    certificate = make(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate.certificate, certificate.key)
    with Peer(tls=tls) as peer:
        trusting = run(language, peer.url, [ALICE], **{TRUST[language]: str(certificate.certificate)})
        assert (trusting.stdout, trusting.stderr) == ("allow\n", "")
        asked = len(peer.requests)
        doubting = run(language, peer.url, [ALICE])
    assert doubting.stdout == "deny\n"
    assert "CERT" in doubting.stderr
    assert len(peer.requests) == asked


def test_a_polluted_prototype_has_no_effect() -> None:
    """A dependency of a JavaScript service may be exploited to change the prototype of all objects."""
    pollution = quote("Object.defineProperty(Object.prototype, 'decision', {value: true})")
    with Peer(lambda exchange, content: exchange.answer(200, b"{}")) as peer:
        done = run("typescript", peer.url, [ALICE], NODE_OPTIONS=f"--import data:text/javascript,{pollution}")
    assert done.stdout == "deny\n"
    assert done.stderr.startswith("the answer's decision is neither true nor false")


def test_a_usage_error_exits_with_2(language: str) -> None:
    nothing = run(language, "http://127.0.0.1:1", [])
    bad_url = run(language, "ftp://127.0.0.1:1", [ALICE])
    bad_option = run(language, "http://127.0.0.1:1", [ALICE], "--colour")
    bad_batch = run(language, "http://127.0.0.1:1", [ALICE], "--batch", "1001")
    assert [done.returncode for done in (nothing, bad_url, bad_option, bad_batch)] == [2, 2, 2, 2]
    assert "there is no question on standard input" in nothing.stderr
    assert "the URL must be http or https" in bad_url.stderr
    assert "--colour" in bad_option.stderr
    assert "a batch has 1 to 1000 questions" in bad_batch.stderr


def test_help_has_an_example(language: str) -> None:
    done = run(language, "", [], "--help")
    assert done.returncode == 0
    assert "< scripts/clients/questions.jsonl" in done.stdout
