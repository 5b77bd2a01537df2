"""Restart replicas, one after the other, behind nginx and under load, and count the requests that fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.support.balancer import balancer
from tests.support.breakable import BreakablePostgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.load import Load
from tests.support.server import AUTHZ, Server, eventually, free_port

DRAIN_SECONDS = "0.5"


def rolling(
    restarts: int, clients: int, *, of: int = 3, place: Path, issuer: LiveIssuer, postgres: BreakablePostgres
) -> Iterator[str]:
    """Yield the failures with `of` replicas; progress goes to standard output."""
    database = postgres.new()
    with ExitStack() as stack:
        replicas = []
        for number in range(of):
            directory = place / str(number)
            directory.mkdir()
            server = Server(
                directory,
                jwks_url=issuer.jwks_url,
                issuer=issuer.url,
                authorized_parties=PARTY,
                command=(str(AUTHZ), "serve", "--port", str(free_port())),
                database_url=database,
                drain_seconds=DRAIN_SECONDS,
                access_log="false",
                key_issues_per_minute="0",
            )
            replicas.append(stack.enter_context(server))
        (place / "nginx").mkdir()
        url = stack.enter_context(balancer(place / "nginx", [server.url for server in replicas]))
        jwt = {"Authorization": f"Bearer {issuer.token(permissions=['catalog:read'], exp=2**33)}"}
        body = {"name": "rolling", "scopes": ["catalog:read"]}
        with replicas[0].client() as client:
            key = client.post("/api/v1/api-keys/", json=body, headers=jwt).json()["plaintext"]
        by_key = {"Authorization": f"Bearer {key}"}
        loads = {
            "GET by JWT": Load(url, "/api/v1/teams/", clients=clients, headers=jwt, pause=0.002),
            "GET by key": Load(url, "/api/v1/teams/", clients=clients, headers=by_key, pause=0.002),
            "POST by JWT": Load(url, "/api/v1/api-keys/", body=body, clients=2, headers=jwt, pause=0.02),
        }
        with loads["GET by JWT"], loads["GET by key"], loads["POST by JWT"]:
            for number in range(restarts):
                time.sleep(0.3)
                yield from _restarted(replicas[number % len(replicas)])
                print(f"{number + 1} of {restarts} restarts", flush=True)
            time.sleep(0.3)
        for name, load in loads.items():
            print(f"{name}: {dict(load.answers)}, lost {len(load.lost)}, refused {load.refused}", flush=True)
            expected = {201} if "POST" in name else {200}
            if wrong := {status: times for status, times in load.answers.items() if status not in expected}:
                yield f"{name}: answers {wrong}"
            if load.lost or load.refused:
                yield f"{name}: {len(load.lost)} lost {load.lost[:3]}, {load.refused} refused"
            if not load.answers:
                yield f"{name}: nothing was asked, so this says nothing"


def _restarted(server: Server) -> Iterator[str]:
    server.stop()
    server.lines.clear()
    server.start()
    with server.client() as client:
        if not eventually(lambda: client.get("/readyz").json()["status"] == "ready", 20):
            yield "a replica was not ready after 20 s"
