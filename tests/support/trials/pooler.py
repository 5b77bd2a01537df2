"""Serve through a real pgbouncer: prepare the database, decide, publish, follow and revoke, under load."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import httpx

from tests.history.replicas import another, publish, replica, served
from tests.support.breakable import BreakablePostgres
from tests.support.forked_process import run
from tests.support.issuer import LiveIssuer
from tests.support.load import Load
from tests.support.pooler import Pooler
from tests.support.server import Server, eventually

Mode = Literal["session", "transaction"]
BACK_SECONDS = 5.0
FOLLOW_SECONDS = 5.0
KEYS = "/api/v1/api-keys/"
TEAMS = "/api/v1/teams/"


def pooled(
    mode: Mode, seconds: float, *, issuer: LiveIssuer, postgres: BreakablePostgres, place: Path
) -> Iterator[str]:
    """Yield the faults in one mode; progress goes to standard output."""
    with ExitStack() as stack:
        connections = 4 if mode == "transaction" else 40
        pooler = stack.enter_context(Pooler(postgres.new(prepared=False), mode, connections=connections))
        _upgrade(pooler.url, place)
        first, second = (
            stack.enter_context(replica(place / name, issuer, pooler.url, access_log="false"))
            for name in ("first", "second")
        )
        bearer = _bearer(issuer.token(sub="user_1", permissions=["catalog:read"], exp=2**33))
        body = {"name": "pooler", "scopes": ["catalog:read"]}
        with first.client() as client:
            key, revoked = (client.post(KEYS, json=body, headers=bearer).json() for _ in range(2))
        loads = {
            "read by JWT": Load(first.url, TEAMS, clients=8, headers=bearer, pause=0.03),
            "read by key": Load(second.url, TEAMS, clients=4, headers=_bearer(key["plaintext"]), pause=0.03),
            "write": Load(second.url, KEYS, body=body, clients=2, headers=bearer, pause=0.05),
        }
        for load in loads.values():
            stack.enter_context(load)
        until = time.monotonic() + seconds
        while True:
            revision = publish(first, issuer, another(first))["revision"]
            began = time.monotonic()
            if not eventually(lambda wanted=revision: served(second) == wanted, FOLLOW_SECONDS):  # type: ignore[misc]  # a default binds it
                yield "the second server did not follow a published policy"
            print(f"{mode}: followed after {time.monotonic() - began:.2f} s", flush=True)
            if time.monotonic() > until:
                break
        yield from _revoked_elsewhere(first, second, revoked, bearer)
        for name, load in loads.items():
            load.__exit__(None, None, None)
            print(f"{mode}, {name}: {dict(load.answers)}, lost {len(load.lost)}", flush=True)
            if set(load.answers) != {201 if name == "write" else 200} or load.lost:
                yield f"{mode}, {name}: answers {dict(load.answers)}, {len(load.lost)} lost"
        yield from _logged(mode, (first, second), postgres)
        yield from _restarted(pooler, first, bearer)


def _logged(mode: Mode, servers: Sequence[Server], postgres: BreakablePostgres) -> Iterator[str]:
    if not eventually(lambda: postgres.psql("SELECT count(*) FROM decision_rows") != "0"):
        yield f"{mode}: no decision was written to the log"
    for server in servers:
        if wrong := [entry for entry in server.log if entry.get("level") == "error"]:
            yield f"{mode}: a server logged {len(wrong)} errors, the first: {wrong[0]}"


def _upgrade(url: str, place: Path) -> None:
    run("db", "upgrade", env={"AUTHZ_DATABASE_URL": url}, cwd=place).check_returncode()


def _revoked_elsewhere(
    first: Server, second: Server, key: Mapping[str, object], bearer: Mapping[str, str]
) -> Iterator[str]:
    by_key = _bearer(str(key["plaintext"]))
    number = key["api_key"]["id"]  # type: ignore[index]  # the answer of the interface
    if httpx.get(second.url + TEAMS, headers=by_key).status_code != 200:
        yield "a key was not taken"
    httpx.post(f"{first.url}{KEYS}{number}/revoke/", headers=dict(bearer)).raise_for_status()
    if not eventually(lambda: httpx.get(second.url + TEAMS, headers=by_key).status_code == 401, FOLLOW_SECONDS):
        yield f"a key that was revoked elsewhere was still taken {FOLLOW_SECONDS:g} s later"


def _restarted(pooler: Pooler, server: Server, bearer: Mapping[str, str]) -> Iterator[str]:
    pooler.kill()
    if not eventually(lambda: _status(server) == "degraded", BACK_SECONDS):
        yield "/readyz did not say degraded without the pooler"
    if (status := httpx.get(server.url + TEAMS, headers=dict(bearer)).status_code) != 503:
        yield f"a reader was answered {status} without the pooler"
    pooler.start()
    back = time.monotonic()
    if eventually(lambda: _status(server) == "ready", BACK_SECONDS):
        print(f"ready again {time.monotonic() - back:.2f} s after the pooler's return", flush=True)
    else:
        yield f"not ready again {BACK_SECONDS} s after the pooler's return"


def _status(server: Server) -> str:
    return str(httpx.get(f"{server.url}/readyz").json()["status"])


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
