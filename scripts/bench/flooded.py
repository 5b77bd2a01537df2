"""The latency of a caller with an uncached key while many connections send bad credentials.

    python -m scripts.bench.flooded --flood unknown-keys --database postgresql

The caller and the flood come from one address. Prints percentiles in milliseconds, without the flood and with it.
"""

from __future__ import annotations

import argparse
import http.client
import multiprocessing
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.synchronize import Event
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.databases import Postgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import DATABASE, Server

PATH = "/api/v1/teams"
_STRANGER = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsxIn0.eyJzdWIiOiJ4In0."


def _unknown_key() -> str | None:
    return f"grd_live_{secrets.token_hex(24)}"


FLOODS: dict[str, Callable[[], str | None]] = {
    "unknown-keys": _unknown_key,
    "bad-jwts": lambda: _STRANGER + secrets.token_urlsafe(256),
    "anonymous": lambda: None,
}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flood", choices=FLOODS, default="unknown-keys")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--keys", type=int, default=400, help="keys that the caller uses, each once")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--server", choices=("uvicorn", "granian"), default="uvicorn")
    chosen = parser.parse_args()
    postgres = Postgres() if chosen.database == "postgresql" else None
    with tempfile.TemporaryDirectory() as directory, LiveIssuer() as issuer:
        place = Path(directory)
        with Server(
            place,
            jwks_url=issuer.jwks_url,
            issuer=issuer.url,
            authorized_parties=PARTY,
            server=chosen.server,
            access_log="false",
            database_url=postgres.new(prepared=True) if postgres else f"sqlite:///{place / DATABASE}",
        ) as server:
            keys = _issue(server, issuer, 2 * chosen.keys)
            address = urlsplit(server.url).netloc
            print("alone   ", _ask(address, keys[: chosen.keys]), flush=True)
            stop = multiprocessing.Event()
            flood = [
                multiprocessing.Process(target=_flood, args=(address, chosen.flood, chosen.connections // 4, stop))
                for _ in range(4)
            ]
            for process in flood:
                process.start()
            time.sleep(1)
            print("flooded ", _ask(address, keys[chosen.keys :]), flush=True)
            stop.set()
            for process in flood:
                process.join()
    if postgres:
        postgres.stop()


def _issue(server: Server, issuer: LiveIssuer, count: int) -> list[str]:
    keys: list[str] = []
    while len(keys) < count:
        # No owner has more than a few.
        token = issuer.token(sub=f"user_{len(keys)}", permissions=["catalog:read"])
        with server.client(token) as client:
            for _ in range(min(50, count - len(keys))):
                answer = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]})
                keys.append(answer.raise_for_status().json()["plaintext"])
    return keys


def _ask(address: str, keys: list[str]) -> str:
    connection = http.client.HTTPConnection(address, timeout=60)
    took, answers = [], Counter[int]()
    for key in keys:
        started = time.perf_counter()
        connection.request("GET", PATH, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        took.append(1000 * (time.perf_counter() - started))
        answers[answer.status] += 1
        time.sleep(0.005)
    took.sort()
    at = {share: took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.9, 0.99)}
    shown = "  ".join(f"p{100 * share:.0f} {value:8.1f}" for share, value in at.items())
    return f"{shown}  max {took[-1]:8.1f} ms  {dict(answers)}"


def _flood(address: str, kind: str, connections: int, stop: Event) -> None:
    host, port = address.split(":")
    many = [http.client.HTTPConnection(host, int(port), timeout=60) for _ in range(connections)]
    answers = Counter[int]()
    while not stop.is_set():
        for connection in many:
            token = FLOODS[kind]()
            connection.request("GET", PATH, headers={"Authorization": f"Bearer {token}"} if token else {})
        for connection in many:
            answer = connection.getresponse()
            answer.read()
            answers[answer.status] += 1
    print(f"         one of four senders: {dict(answers)}", flush=True)


if __name__ == "__main__":
    main()
