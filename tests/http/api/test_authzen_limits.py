"""AuthZEN bodies that are too large or too deep are refused without using much memory."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server

EVALUATION, EVALUATIONS = "/access/v1/evaluation", "/access/v1/evaluations"
PATHS = (EVALUATION, EVALUATIONS, *(f"/access/v1/search/{name}" for name in ("subject", "resource", "action")))
QUESTION = {
    "subject": {"type": "user", "id": "u", "properties": {"permissions": ["catalog:read"]}},
    "action": {"name": "GET"},
    "resource": {"type": "route", "id": "/api/v1/teams/7"},
}
MOST_GROWTH_KB = 50 * 1024
DEEP = 100_000


def _peak(server: Server) -> int:
    """The peak memory of the process, in KiB."""
    assert server.process
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


@pytest.fixture(scope="module")
def pdp(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    server = Server(tmp_path_factory.mktemp("pdp"), jwks_url=issuer.jwks_url, issuer=issuer.url)
    with server, server.client(issuer.token(permissions=["decisions:evaluate"])) as client:
        client.post(EVALUATION, json=QUESTION).raise_for_status()
        yield server, client


def _deep(field: str) -> bytes:
    return f'{{"{field}":'.encode() + b"[" * DEEP + b"]" * DEEP + b"}"


HOSTILE: dict[str, tuple[bytes, int]] = {
    "objects, 100,000 deep": (b'{"a":' * DEEP, 400),
    "an unknown field, 100,000 deep": (_deep("x"), 400),
    "the context, 100,000 deep": (b'{"context":' + _deep("x") + b"}", 400),
    "attributes, 100,000 deep": (b'{"subject":{"properties":' + _deep("x") + b"}}", 400),
    "items, 100,000 deep": (b'{"evaluations":' + b"[" * DEEP + b"]" * DEEP + b"}", 400),
    "10 MB of text": (b'{"x":"' + b"y" * 10_000_000 + b'"}', 413),
    "10 MB that is no JSON": (b"y" * 10_000_000, 413),
    "a million items": (b'{"evaluations":[' + b"{}," * 999_999 + b"{}]}", 413),
    "as many items as fit": (b'{"evaluations":[' + b"0," * 499_900 + b"0]}", 400),
    "as many attributes as fit": (b'{"context":{"x":[' + b'{"":0},' * 142_000 + b"0]}}", 400),
    "as many numbers as fit": (b'{"context":{"x":[' + b"1e9," * 249_000 + b"0]}}", 400),
    "one very long number": (b'{"context":{"x":' + b"9" * 900_000 + b"}}", 400),
    "a long id": (json.dumps({**QUESTION, "resource": {"type": "route", "id": "/" * 900_000}}).encode(), 200),
}


def test_hostile_bodies_are_refused_without_the_process_growing(pdp: tuple[Server, httpx.Client]) -> None:
    server, client = pdp
    before = _peak(server)
    for name, (body, status) in HOSTILE.items():
        for path in PATHS if status != 200 else (EVALUATION,):
            answer = client.post(path, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, f"{name} at {path}: {answer.text[:200]}"
            assert set(answer.json()) == ({"decision"} if status == 200 else {"detail"})
            assert len(answer.content) < 500
    grown = _peak(server) - before
    assert grown < MOST_GROWTH_KB, f"grew by {grown} KiB"


def test_a_body_without_a_length_is_bounded_too(pdp: tuple[Server, httpx.Client]) -> None:
    server, client = pdp
    before = _peak(server)
    chunks = (b"y" * 100_000 for _ in range(100))
    answer = client.post(EVALUATION, content=chunks, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert _peak(server) - before < MOST_GROWTH_KB


def test_a_chunked_body_is_read_completely(pdp: tuple[Server, httpx.Client]) -> None:
    _, client = pdp
    text = json.dumps(QUESTION).encode()
    for size in (1, 7, len(text) - 1):
        pieces = (text[start : start + size] for start in range(0, len(text), size))
        answer = client.post(EVALUATION, content=pieces, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()) == (200, {"decision": True})


def test_a_disconnect_within_a_body_is_no_error(pdp: tuple[Server, httpx.Client]) -> None:
    server, client = pdp
    host, port = server.url.removeprefix("http://").split(":")
    lines = [f"POST {EVALUATION} HTTP/1.1", f"Host: {host}", f"Authorization: {client.headers['Authorization']}"]
    lines += ["Content-Type: application/json", "X-Request-ID: leaving", "Content-Length: 999", "", "{"]
    with socket.create_connection((host, int(port))) as leaving:
        leaving.sendall("\r\n".join(lines).encode())
        time.sleep(0.2)
    told = server.wait_for_log(lambda entry: entry.get("request_id") == "leaving")
    assert (told["event"], told["status"]) == ("request", 400)
    assert not [entry for entry in server.log if entry.get("level") == "error"]


def test_a_batch_has_at_most_a_thousand_items(pdp: tuple[Server, httpx.Client]) -> None:
    _, client = pdp
    items = [{"resource": {"type": "route", "id": f"/api/v1/teams/{number}"}} for number in range(1000)]
    started = time.perf_counter()
    answer = client.post(EVALUATIONS, json={**QUESTION, "evaluations": items})
    assert time.perf_counter() - started < 2
    assert answer.json() == {"evaluations": [{"decision": True}] * 1000}
    more = client.post(EVALUATIONS, json={**QUESTION, "evaluations": [*items, {}]})
    assert more.status_code == 400
    assert more.json() == {"detail": "`evaluations` must have at most 1000 items."}


def test_a_thousand_unknown_routes_take_as_long_as_known_ones(pdp: tuple[Server, httpx.Client]) -> None:
    _, client = pdp
    items = [{"resource": {"type": "route", "id": f"/api/v1/taems/{number}"}} for number in range(1000)]
    started = time.perf_counter()
    body = {**QUESTION, "options": {"explain": True}, "evaluations": items}
    answer = client.post(EVALUATIONS, json=body)
    assert time.perf_counter() - started < 2
    assert {item["decision"] for item in answer.json()["evaluations"]} == {False}
