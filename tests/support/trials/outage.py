"""Take PostgreSQL outage from a server under load, and compare every answer with the permitted ones."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

from tests.support.breakable import BreakablePostgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.load import Load
from tests.support.server import Server, eventually

SECRET = "a-gateway-of-this-trial-and-of-no-other"
CACHE_SECONDS = 1.0
BACK_SECONDS = 5.0
TEAMS = "/api/v1/teams/"


def outage(seconds: float, how: str, *, issuer: LiveIssuer, postgres: BreakablePostgres, place: Path) -> Iterator[str]:
    """Yield the faults; progress goes to standard output."""
    server = Server(
        place,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        database_url=postgres.new(),
        database_timeout_seconds="2",
        gateway_secrets=SECRET,
        access_log="false",
    )
    with server, ExitStack() as stack:
        person = _bearer(issuer.token(permissions=["policies:read", "catalog:read"], exp=2**33))
        with server.client() as client:
            issued = [
                client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]}, headers=person).json()
                for _ in range(2)
            ]
            key, revoked = (_bearer(each["plaintext"]) for each in issued)
            path = f"/api/v1/api-keys/{issued[1]['api_key']['id']}/revoke/"
            assert client.post(path, headers=person).status_code == 200
        gateway = {"X-Gateway-Secret": SECRET, "X-Original-Method": "GET", "X-Original-URI": "/api/v1/teams/7"}
        lacking = _bearer(issuer.token(permissions=["holdings:read"], exp=2**33))

        def load_of(path: str, headers: Mapping[str, str]) -> Load:
            return stack.enter_context(Load(server.url, path, clients=2, headers=headers, pause=0.05))

        served = {
            "JWT": load_of("/api/v1/policies/", person),
            "JWT at a gateway": load_of("/gateway/nginx", person | gateway),
        }
        denied = {
            "no credentials": load_of(TEAMS, {}),
            "JWT without the permission": load_of(TEAMS, lacking),
            "JWT without the permission, at a gateway": load_of("/gateway/nginx", lacking | gateway),
            "forged JWT": load_of(TEAMS, {"Authorization": person["Authorization"][:-8] + "AAAAAAAA"}),
            "revoked key": load_of(TEAMS, revoked),
            "revoked key at a gateway": load_of("/gateway/nginx", revoked | gateway),
            "unknown key": load_of(TEAMS, _bearer("grd_live_" + 48 * "0")),
            "gateway without proof": load_of("/gateway/nginx", person | gateway | {"X-Gateway-Secret": "no"}),
        }
        keys = {"key": load_of(TEAMS, key), "key at a gateway": load_of("/gateway/nginx", key | gateway)}
        if not eventually(lambda: all(load.answers for load in (served | denied | keys).values()), 20):
            yield "a load had no answer before the outage"
        postgres.stop() if how == "down" else postgres.pause()
        gone = time.monotonic()
        time.sleep(CACHE_SECONDS + 0.5)
        allowed_before = {name: load.answers[200] for name, load in keys.items()}
        while (left := gone + seconds - time.monotonic()) > 0:
            time.sleep(min(30.0, left))
            print(f"down for {time.monotonic() - gone:.0f} s: {_summary(served | keys)}", flush=True)
        for name, load in keys.items():
            if load.answers[200] > allowed_before[name]:
                yield f"{name}: was accepted after {CACHE_SECONDS} s without the database"
        postgres.start() if how == "down" else postgres.resume()
        back = time.monotonic()
        allowed = {name: load.answers[200] for name, load in keys.items()}

        with server.client() as client:
            seen = {
                "keys": lambda: all(load.answers[200] > allowed[name] for name, load in keys.items()),
                "ready": lambda: client.get("/readyz").json()["status"] == "ready",
            }
            for what, is_back in seen.items():
                if eventually(is_back, back + BACK_SECONDS - time.monotonic()):
                    print(f"{what} again {time.monotonic() - back:.2f} s after its return", flush=True)
                else:
                    yield f"{what}: not again {BACK_SECONDS} s after its return"
        stack.close()
        for name, load in (served | denied | keys).items():
            print(f"{name}: {dict(sorted(load.answers.items()))}, lost {len(load.lost)}", flush=True)
            if load.lost or not load.answers:
                yield f"{name}: {len(load.lost)} requests lost of {load.answers.total()}"
        for name, load in served.items():
            if set(load.answers) != {200}:
                yield f"{name}: not all were served"
        for name, load in denied.items():
            if load.answers[200]:
                yield f"{name}: was allowed"
        for name, load in (served | denied | keys).items():
            if load.answers[500]:
                yield f"{name}: {load.answers[500]} answers 500"


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _summary(loads: Mapping[str, Load]) -> str:
    return ", ".join(f"{name} {dict(sorted(load.answers.items()))}" for name, load in loads.items())
