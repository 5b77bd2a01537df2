"""What the clients make of answers about a token: only one whose parts agree counts."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

from scripts.clients.authzen import DecisionPoint
from tests.support.node_packages import NODE
from tests.support.server import ROOT
from tests.support.threaded_server import ThreadedServer

CALLER = {"type": "user", "id": "ann"}
NO_DECISION = [False, 503, "", None]
Found = list[Any]  # allowed, status, challenge and the id of the caller

CONTRADICTIONS: list[Any] = [
    {"decision": True},
    {"decision": True, "context": {}},
    {"decision": True, "context": []},
    {"decision": "true", "context": {"status": 200, "subject": CALLER}},
    {"decision": True, "context": {"status": 200}},
    {"decision": True, "context": {"status": "200", "subject": CALLER}},
    {"decision": True, "context": {"status": 403, "subject": CALLER}},
    {"decision": False, "context": {"status": 200, "subject": CALLER}},
    {"decision": False, "context": {"status": 302, "subject": CALLER}},
    {"decision": False, "context": {"status": 401, "subject": CALLER}},
    {"decision": False, "context": {"status": 403}},
    {"decision": True, "context": {"status": 429}},
    {"decision": False, "context": {"status": 429, "subject": CALLER}},
    *({"decision": False, "context": {"status": 429, "retry_after": each}} for each in ("7", 0, -1, 1.5, None, 10**6)),
    {"decision": False, "context": {"status": 403, "challenge": 7, "subject": CALLER}},
    {"decision": False, "context": {"status": 401, "challenge": "Bearer\r\nSet-Cookie: x=y"}},
    {"decision": True, "context": {"status": 200, "subject": "ann"}},
    {"decision": True, "context": {"status": 200, "subject": {**CALLER, "type": "root"}}},
    {"decision": True, "context": {"status": 200, "subject": {**CALLER, "id": ""}}},
    {"decision": True, "context": {"status": 200, "subject": {**CALLER, "id": 7}}},
    {"decision": True, "context": {"status": 200, "subject": {**CALLER, "owner": None}}},
    {"decision": True, "context": {"status": 200, "subject": {**CALLER, "permissions": "a:b"}}},
    {"decision": True, "context": {"status": 200, "subject": {**CALLER, "permissions": [7]}}},
    [],
    None,
]
ANSWERS: list[tuple[Any, Found]] = [
    ({"decision": True, "context": {"status": 200, "subject": CALLER}}, [True, 200, "", "ann"]),
    (
        {"decision": True, "context": {"status": 200, "subject": {**CALLER, "permissions": ["a:b"], "more": 1}}},
        [True, 200, "", "ann"],
    ),
    (
        {"decision": False, "context": {"status": 403, "challenge": "Bearer x", "subject": CALLER}},
        [False, 403, "Bearer x", "ann"],
    ),
    ({"decision": False, "context": {"status": 401, "challenge": "Bearer y"}}, [False, 401, "Bearer y", None]),
    ({"decision": False, "context": {"status": 429, "retry_after": 7}}, [False, 429, "", None]),
    *((answer, NO_DECISION) for answer in CONTRADICTIONS),
]


@contextmanager
def answering() -> Iterator[str]:
    """A decision point that gives one of the answers to each request, in their order."""
    left = iter([json.dumps(answer).encode() for answer, _ in ANSWERS])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = next(left)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            pass

    with ThreadedServer(Handler) as server:
        yield server.url


def test_python_counts_only_an_answer_whose_parts_agree() -> None:
    async def ask(url: str) -> list[Found]:
        async with DecisionPoint(url, "asker", timeout=20) as pdp:
            verdicts = [await pdp.evaluate_token("token", "GET", {"type": "route", "id": "/"}) for _ in ANSWERS]
            nothing = await pdp.evaluate_token("", "GET", {"type": "route", "id": "/"})
        assert (bool(nothing), nothing.status, nothing.challenge) == (False, 401, "Bearer")
        assert all(bool(each.failure) is (each.status == 503) for each in verdicts)
        return [[bool(each), each.status, each.challenge, each.caller and each.caller.id] for each in verdicts]

    with answering() as url:
        found = asyncio.run(ask(url))
    for (answer, expected), verdict in zip(ANSWERS, found, strict=True):
        assert verdict == expected, answer


def test_typescript_counts_only_an_answer_whose_parts_agree() -> None:
    program = ROOT / "tests" / "clients" / "token_verdicts.mjs"
    with answering() as url:
        command = list(map(str, (NODE, program, ROOT / "scripts" / "clients", url, len(ANSWERS))))
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    for (answer, expected), verdict in zip(ANSWERS, json.loads(done.stdout), strict=True):
        assert verdict == expected, answer
