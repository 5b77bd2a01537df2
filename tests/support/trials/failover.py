"""Move a server's database address to a new primary while the old one stays up read-only, and time the recovery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import httpx

from tests.history.replicas import another, replica, served
from tests.history.test_publish import PUBLISH, admin, body
from tests.support.breakable import BreakablePostgres
from tests.support.forwarder import Forwarder
from tests.support.issuer import LiveIssuer
from tests.support.load import Load
from tests.support.server import Server, eventually

BACK_SECONDS = 5.0
KEYS = "/api/v1/api-keys/"
TEAMS = "/api/v1/teams/"


def failover(how: Literal["move", "hosts"], *, issuer: LiveIssuer, place: Path, seconds: float = 1.0) -> Iterator[str]:
    """Yield the faults of a failover with `seconds` without a primary; progress goes to standard output."""
    with ExitStack() as stack:
        old = stack.enter_context(BreakablePostgres())
        database = old.new().partition("@/")[2].partition("?")[0]
        new = stack.enter_context(BreakablePostgres(old))
        address = stack.enter_context(Forwarder(old.socket))
        places = f"127.0.0.1:{address.port}"
        if how == "hosts":
            places += f",127.0.0.1:{stack.enter_context(Forwarder(new.socket)).port}"
        url = f"postgresql://postgres@{places}/{database}"
        settings = {"access_log": "false", "database_timeout_seconds": "2"}
        servers = [stack.enter_context(replica(place / name, issuer, url, **settings)) for name in ("first", "second")]
        person = issuer.token(sub="user_1", permissions=["catalog:read", "policies:read"], exp=2**33)
        bearer = {"Authorization": f"Bearer {person}"}
        client = stack.enter_context(servers[0].client(person))
        new_key = {"name": "failover", "scopes": ["catalog:read"]}
        key = client.post(KEYS, json=new_key).json()["plaintext"]
        by_key = {"Authorization": f"Bearer {key}"}
        loads = {
            "read by JWT": Load(servers[0].url, TEAMS, clients=4, headers=bearer, pause=0.02),
            "read by key": Load(servers[0].url, TEAMS, clients=2, headers=by_key, pause=0.02),
            "write": Load(servers[0].url, KEYS, body=new_key, clients=2, headers=bearer, pause=0.05),
        }
        for load in loads.values():
            stack.enter_context(load)
        if not eventually(lambda: all(load.answers for load in loads.values()), 20):
            yield "a load had no answer before the failover"

        old.refuse_writes()
        yield from _without_a_primary(client, new_key, seconds)
        written = loads["write"].answers[201]
        new.promote()
        address.move(new.socket)
        moved = time.monotonic()
        checks: dict[str, Callable[[], bool]] = {
            "writing": lambda: loads["write"].answers[201] > written,
            "reading by key": lambda: client.get(TEAMS, headers=by_key).status_code == 200,
            "ready": lambda: all(_status(server) == "ready" for server in servers),
        }
        yield from _recovered(checks, moved)
        yield from _policy_follows(servers, issuer, moved)
        kept = int(new.psql("SELECT count(*) FROM api_keys", database=database))
        for load in loads.values():
            load.__exit__(None, None, None)
        for name, load in loads.items():
            print(f"{name}: {dict(sorted(load.answers.items()))}, lost {len(load.lost)}", flush=True)
            if load.answers[500] or load.lost:
                yield f"{name}: {load.answers[500]} answers 500, {len(load.lost)} lost"
        if kept < written:
            yield f"{written} keys were acknowledged before the move, and {kept} are kept"
        for server in servers:
            if wrong := [entry for entry in server.log if "exception" in entry]:
                yield f"a server logged {len(wrong)} exceptions, the first: {wrong[0]['event']}"


def _without_a_primary(client: httpx.Client, new_key: object, seconds: float) -> Iterator[str]:
    until = time.monotonic() + seconds
    if not eventually(lambda: client.get("/readyz").json()["status"] == "degraded", BACK_SECONDS):
        yield "/readyz did not say degraded while the server was read-only"
    while True:
        answer = client.post(KEYS, json=new_key)
        if answer.status_code != 503 or "retry-after" not in answer.headers:
            yield f"a writer was answered {answer.status_code} while the server was read-only"
        if (answer := client.get(TEAMS)).status_code != 200:
            yield f"a reader was answered {answer.status_code} while the server was read-only"
        if time.monotonic() > until:
            return
        time.sleep(0.1)


def _recovered(checks: dict[str, Callable[[], bool]], moved: float) -> Iterator[str]:
    for what, is_back in checks.items():
        if eventually(is_back, moved + BACK_SECONDS - time.monotonic()):
            print(f"{what} again {time.monotonic() - moved:.2f} s after the move", flush=True)
        else:
            yield f"{what}: not again {BACK_SECONDS} s after the move"


def _policy_follows(servers: list[Server], issuer: LiveIssuer, moved: float) -> Iterator[str]:
    with admin(servers[0], issuer) as client:
        change = body(client, another(servers[0]))
        while (answer := client.post(PUBLISH, json=change)).status_code == 503:
            if time.monotonic() > moved + BACK_SECONDS:
                break
    if answer.status_code != 200:
        yield f"publishing was answered {answer.status_code}: {answer.text}"
        return
    began = time.monotonic()
    print(f"publishing again {began - moved:.2f} s after the move", flush=True)
    if eventually(lambda: served(servers[1]) == answer.json()["revision"], BACK_SECONDS):
        print(f"a policy was followed {time.monotonic() - began:.2f} s after it was published", flush=True)
    else:
        yield "a policy that was published was not followed"


def _status(server: Server) -> str:
    return str(httpx.get(f"{server.url}/readyz").json()["status"])
