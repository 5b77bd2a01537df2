"""Common alternatives: the same handler on FastAPI behind a library over plain Casbin, in an environment of the peers.

    peer.py fastapi-authz|casbin-fastapi-decorator RULES

Callers are not verified here, which favours the peer: each request is that of one user with the role
`catalog:read`. The model is the one that fastapi-authz documents, with roles, any action and prefixes; one with
parameters in its paths would compile a regular expression for each row.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
from pathlib import Path

import casbin
import uvicorn
from fastapi import FastAPI, HTTPException
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection

WHO, ROLE = "user_test", "catalog:read"
MODEL = """[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = (p.sub == "*" || g(r.sub, p.sub)) && (r.obj == p.obj || keyMatch(r.obj, p.obj)) && (p.act == "*" || r.act == p.act)
"""


def enforcer_of(rules: int) -> casbin.Enforcer:
    """An enforcer with `rules` rows for other endpoints, and one for the handler in the middle."""
    rows = [f"p, {ROLE}, /v1/t{number}/*, GET" for number in range(rules - 1)]
    rows.insert(len(rows) // 2, f"p, {ROLE}, /bench/*, GET")
    rows.append(f"g, {WHO}, {ROLE}")
    with tempfile.TemporaryDirectory() as place:
        model, policy = Path(place, "model.conf"), Path(place, "policy.csv")
        model.write_text(MODEL)
        policy.write_text("\n".join(rows))
        return casbin.Enforcer(str(model), str(policy))


class Everyone(AuthenticationBackend):
    """Authenticates every request as one user."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, SimpleUser]:
        """The caller."""
        return AuthCredentials(["authenticated"]), SimpleUser(WHO)


def by_middleware(enforcer: casbin.Enforcer) -> FastAPI:
    """fastapi-authz."""
    from fastapi_authz import CasbinMiddleware  # noqa: PLC0415  # one peer at a time

    app = FastAPI(openapi_url=None)
    app.add_middleware(CasbinMiddleware, enforcer=enforcer)
    app.add_middleware(AuthenticationMiddleware, backend=Everyone())

    @app.get("/bench/{number}")
    async def answered(number: str) -> dict[str, str]:
        return {"number": number}

    return app


def by_decorator(enforcer: casbin.Enforcer) -> FastAPI:
    """casbin-fastapi-decorator."""
    from casbin_fastapi_decorator import AccessSubject, PermissionGuard  # noqa: PLC0415  # as above

    async def who() -> str:
        return WHO

    async def provided() -> casbin.Enforcer:
        return enforcer

    async def path(number: str) -> str:
        return f"/bench/{number}"

    guard = PermissionGuard(
        user_provider=who, enforcer_provider=provided, error_factory=lambda *_: HTTPException(403, "Forbidden")
    )
    app = FastAPI(openapi_url=None)

    @app.get("/bench/{number}")
    @guard.require_permission(AccessSubject(val=path), "GET")
    async def answered(number: str) -> dict[str, str]:
        return {"number": number}

    return app


PEERS = {"fastapi-authz": by_middleware, "casbin-fastapi-decorator": by_decorator}


class Told(uvicorn.Server):
    """Logs its address, as `authz serve` does."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then log the address."""
        await super().startup(sockets)
        port = sockets[0].getsockname()[1] if sockets else 0
        print(json.dumps({"event": "listening", "url": f"http://127.0.0.1:{port}"}), file=sys.stderr, flush=True)


def main(name: str, rules: int) -> None:
    """Serve the handler."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(PEERS[name](enforcer_of(rules)), log_config=None, access_log=False)
    Told(config).run(sockets=[listener])


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
