"""The measured handler: behind the door of the application, unprotected, or behind the least guard.

python -m scripts.bench.served protected|unprotected|least uvicorn|granian
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, get_args

from litestar import Litestar, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from app import logs
from app.cli.server.listening import bind
from app.cli.server.run import serve
from app.policy.gc_control import long_lived_build, shorten_collections, use_one_heap
from app.settings import ServerName, load
from scripts.bench.least import LeastGuard
from scripts.bench.measuring import ROOT, cores, pinned
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

SECRET = "of-a-gateway-that-is-measured-here-alone"
PATH = "/bench/7"
POST_PATH = "/bench"  # of an unprotected handler that reads a JSON body
LEAST_HEADER = "BENCH_HEADER"  # the variable with the header that the least guard knows


async def answered(number: str) -> dict[str, str]:
    """Return a small answer."""
    return {"number": number}


def _handler() -> HTTPRouteHandler:
    """A new handler for each application: one decides for all copies of it how responses are made."""
    return get("/bench/{number:str}")(answered)


@post(POST_PATH, status_code=200)
async def accepted(data: dict[str, Any]) -> dict[str, bool]:  # its parsing is measured
    """Parse a body, and return a small answer."""
    return {"decision": True}


def write_policy(directory: Path, rules: int) -> None:
    """Write the shipped policy, a row for the handler, and `rules` rows for another service."""
    shutil.copytree(ROOT / "policies", directory)
    (directory / "upstreams").mkdir(exist_ok=True)
    # A document is 4 MB at most.
    paths: dict[str, object] = {f"/t{number}/{{id}}": {"get": {}} for number in range(rules)}
    document = {"openapi": "3.1.0", "servers": [{"url": "https://things.example.com/v1"}], "paths": paths}
    (directory / "upstreams" / "things.openapi.json").write_text(json.dumps(document))
    rows = "".join(f"p, catalog:read, things:/v1/t{number}/{{id}}, GET, allow\n" for number in range(rules))
    (directory / "bench.csv").write_text(f"p, catalog:read, /bench/{{number}}, GET, allow\n{rows}# end\n")


def server(
    directory: Path,
    issuer: LiveIssuer,
    kind: str,
    rules: int = 40,
    *,
    access_log: bool = False,
    sample: str = "1",
    how: str = "uvicorn",
) -> Server:
    """A server to start on the servers' core; `kind` is one of KINDS. With `access_log` its log is piped to grep."""
    directory.mkdir(parents=True)
    write_policy(directory / "policies", rules)
    command = pinned(sys.executable, "-m", "scripts.bench.served", kind, how)
    found = Server(
        directory,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        command=_without_access_lines(command) if access_log else command,
        access_log=str(access_log).lower(),
        gateway_secrets=SECRET,
        decision_log_sample=sample,
        decision_log_seal_seconds="1",  # at once, not while another server is measured
    )
    found.env["PYTHONPATH"] = str(ROOT)
    return found


def _without_access_lines(command: tuple[str, ...]) -> tuple[str, ...]:
    """A command whose access lines are read on the core of the load, and other lines are passed on."""
    grep = f'exec taskset -c {cores()[1]} grep --line-buffered -v \'"event":"request"\' >&2'
    return ("bash", "-c", f'exec "$@" 2> >({grep})', "bash", *command)


def key_of(started: Server, issuer: LiveIssuer) -> str:
    """A new API key that may call the handler."""
    with started.client(issuer.token(permissions=["catalog:read"])) as client:
        body = {"name": "bench", "scopes": ["catalog:read"]}
        return str(client.post("/api/v1/api-keys/", json=body).json()["plaintext"])


def organization_key_of(started: Server, issuer: LiveIssuer) -> str:
    """A new API key of an organization that may call the handler."""
    stated = ["org:org-keys:write", "org:catalog:read"]
    with started.client(issuer.token(org_id="org_bench", org_permissions=stated)) as client:
        body = {"name": "bench", "scopes": ["catalog:read"]}
        return str(client.post("/api/v1/orgs/org_bench/api-keys/", json=body).json()["plaintext"])


def protected() -> ASGIApp:
    """The application with the handler behind its door."""
    with long_lived_build():  # as `authz serve` does
        from app.asgi import create_app  # noqa: PLC0415  # the bare one starts without it
        from app.history.recovery import StartState  # noqa: PLC0415

    return create_app(load(), StartState(), [_handler()])


def unprotected() -> ASGIApp:
    """The handlers alone."""
    return Litestar([_handler(), accepted], openapi_config=None, logging_config=None)


def least() -> ASGIApp:
    """The handler behind the least guard."""
    guard = LeastGuard(os.environ[LEAST_HEADER])
    return Litestar(
        [_handler()], middleware=[guard], lifespan=[guard.running], openapi_config=None, logging_config=None
    )


KINDS = {"protected": protected, "unprotected": unprotected, "least": least}


def main(kind: str, how: ServerName) -> None:
    """Serve the handler."""
    logs.configure("info", "json")
    use_one_heap()  # as `authz serve` does
    shorten_collections()
    serve(KINDS[kind](), bind("127.0.0.1", 0), server=how)


if __name__ == "__main__":
    main(sys.argv[1], {name: name for name in get_args(ServerName)}[sys.argv[2]])
