"""The attacks of the abuse trial: requests, connections and permitted answers."""

from __future__ import annotations

import json
import random
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support.trials.abuse_load import (
    LOST,
    Address,
    Connections,
    Outcome,
    ask_in_turn,
    hold_half_open,
    send_huge_headers,
    send_pipelined,
)

PATH = "/api/v1/teams"
CONNECTIONS = 64
KNOWN = "user_known"
PROXY = "127.0.0.9"  # the only one whose X-Forwarded-For the server trusts
_ATTACKER = "127.0.0.66"
_HALF_OPEN = 500
_PIPELINED = 256  # connections, each with so many requests at once:
_PIPELINE_DEPTH = 16
_HUGE_BYTES = 100_000_000
_HUGE_CONNECTIONS = 4
_BATCH_ITEMS = 1_000
_CHUNKS = 100  # of a byte each
_SPREAD_OVER = 5_000  # addresses of clients, so that none spends its budget

_Load = Callable[..., Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True, slots=True)
class Callers:
    """The requests of known callers, and the claims of a token."""

    known: tuple[bytes, ...]  # by a token and by a key
    reader: str  # a token that may read the decision log
    good: tuple[bytes, ...]  # of many callers
    signed: str  # the part of a good token that is signed
    batches: tuple[bytes, ...]
    chunked: bytes
    own_pages: tuple[bytes, ...]
    all_pages: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Attack:
    """A load and its permitted statuses; LOST is a connection that the server ended."""

    name: str
    answers: frozenset[int]
    source: str
    connections: int
    load: _Load
    more: tuple[Any, ...]

    def run(self, address: Address, seconds: float) -> Coroutine[Any, Any, Outcome]:
        """Attack the server at an address."""
        return self.load(Connections(address, self.connections, self.source), seconds, *self.more)


def request(path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a GET, or of a POST of JSON if there is a body."""
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def bearer(token: str) -> dict[str, str]:
    """The header with a token or key."""
    return {"Authorization": f"Bearer {token}"}


def one_of(requests: tuple[bytes, ...]) -> bytes:
    """A random one of these."""
    return random.choice(requests)


class Marked:
    """Requests of a caller, each with the mark and its number as request id."""

    def __init__(self, requests: tuple[bytes, ...], mark: str) -> None:
        self._requests = requests
        self._mark = mark
        self._count = 0

    def __call__(self) -> bytes:
        line, rest = one_of(self._requests).split(b"\r\n", 1)
        self._count += 1
        return line + f"\r\nX-Request-ID: {self._mark}-{self._count}\r\n".encode() + rest


def batch(token: str, items: int = _BATCH_ITEMS) -> bytes:
    """A batch of different questions."""
    body = {
        "subject": {"type": "user", "id": "user_2abc", "properties": {"permissions": ["catalog:read"]}},
        "action": {"name": "GET"},
        "evaluations": [
            {"resource": {"type": "route", "id": f"{PATH}/{number}"}} for number in random.sample(range(10**9), items)
        ],
    }
    return request("/access/v1/evaluations", bearer(token), json.dumps(body).encode())


def small_chunks(token: str) -> bytes:
    """A question in very many pieces, which is refused once it has been read."""
    head = request("/access/v1/evaluation", {**bearer(token), "Transfer-Encoding": "chunked"})
    head = head.replace(b"GET", b"POST", 1).replace(b"\r\n\r\n", b"\r\nContent-Type: application/json\r\n\r\n")
    return head + b"1\r\n \r\n" * _CHUNKS + b"0\r\n\r\n"


ATTACKS = (
    *("anonymous", "anonymous-spread", "bad-jwts", "bad-jwts-spread", "unknown-keys", "unknown-keys-spread"),
    *("pipelined", "batches", "own-keys", "all-keys", "small-chunks", "half-open", "huge-header"),
)


def attacks(callers: Callers) -> Mapping[str, Attack]:
    """All attacks by name. `-spread` comes from very many addresses, through a trusted proxy."""
    found: list[Attack] = []
    unknown_callers: dict[str, Callable[[int], bytes]] = {
        "anonymous": _anonymous,
        "bad-jwts": partial(_badly_signed, callers.signed),
        "unknown-keys": _unknown_key,
    }
    for name, source in unknown_callers.items():
        refused = frozenset({401} if name == "anonymous" else {401, 429})
        found.append(Attack(name, refused, _ATTACKER, CONNECTIONS, ask_in_turn, (partial(source, 0),)))
        spread = (partial(source, _SPREAD_OVER),)
        found.append(Attack(f"{name}-spread", frozenset({401}), PROXY, CONNECTIONS, ask_in_turn, spread))
    pipelined = (partial(_anonymous, 0), _PIPELINE_DEPTH)
    found.append(Attack("pipelined", frozenset({401}), _ATTACKER, _PIPELINED, send_pipelined, pipelined))
    for name, requests in {
        "batches": callers.batches,
        "own-keys": callers.own_pages,
        "all-keys": callers.all_pages,
    }.items():
        turns = (partial(one_of, requests),)
        # 503 while the decision log is full.
        found.append(
            Attack(
                name, frozenset({200, 503} if name == "batches" else {200}), _ATTACKER, CONNECTIONS, ask_in_turn, turns
            )
        )
    chunked = (partial(one_of, (callers.chunked,)),)
    found.append(Attack("small-chunks", frozenset({400}), _ATTACKER, CONNECTIONS, ask_in_turn, chunked))
    head = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Long: ".encode()
    huge = (head, _HUGE_BYTES)
    found += [
        Attack("half-open", frozenset({LOST, 408}), _ATTACKER, _HALF_OPEN, hold_half_open, (head,)),
        Attack("huge-header", frozenset({LOST, 431}), _ATTACKER, _HUGE_CONNECTIONS, send_huge_headers, huge),
    ]
    return {attack.name: attack for attack in found}


def _forwarded(spread: int) -> dict[str, str]:
    if not spread:
        return {}
    number = random.randrange(spread)
    return {"X-Forwarded-For": f"10.1.{number // 250}.{number % 250}"}


def _anonymous(spread: int) -> bytes:
    return request(PATH, _forwarded(spread))


def _badly_signed(signed: str, spread: int) -> bytes:
    signature = urlsafe_b64encode(b"\0" + secrets.token_bytes(255)).rstrip(b"=").decode()
    return request(PATH, {**bearer(f"{signed}.{signature}"), **_forwarded(spread)})


def _unknown_key(spread: int) -> bytes:
    return request(PATH, {**bearer(f"grd_live_{secrets.token_hex(24)}"), **_forwarded(spread)})
