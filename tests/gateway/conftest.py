"""A service behind each of the gateways, which all use the same authz."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.gateway.gateways import NAMES, SECRET, Gateway
from tests.gateway.upstream import Upstream
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import ROOT, Server

ORDERS = """\
openapi: 3.2.0
servers: [{url: https://orders.example/v1}]
paths:
  /public: {get: {}}
  /orders: {get: {}, post: {}}
  /orders/{id}: {get: {}, delete: {}, head: {}}
  /orders/export:all: {get: {}}
  /admin/users: {get: {}, post: {}}
  /admin/{what}: {get: {}}
  /near: {get: {}}
  /far: {get: {}}
  /shared: {get: {}, put: {}}
  /jobs/{id}: {get: {}, put: {}}
  /jobs/{id}:cancel: {put: {}, post: {}}
  /jobs/{one}...{other}/compared: {get: {}}
  /search: {query: {}}
  /pairs/{one}/of: {get: {}}
  /pairs/all/{other}: {get: {}}
"""
ROWS = """\
p, anyone, orders:/v1/public, GET, allow
p, catalog:read, orders:/v1/orders/**, GET|HEAD, allow
p, anyone, orders:/v1/orders/export:all, GET, deny
p, catalog:write, orders:/v1/orders/**, POST|DELETE, allow
p, policies:write, orders:/v1/admin/**, GET|POST, allow
p, catalog:read, orders:/v1/near, GET, allow, "ip_in(request.ip, '127.0.0.0/8') && request.path == '/v1/near'"
p, anyone, orders:/v1/far, GET, allow, "ip_in(request.ip, '10.0.0.0/8')"
p, catalog:read, orders:/v1/shared, GET, allow
p, catalog:write, orders:/v1/shared, PUT, allow
p, anyone, orders:/v1/shared, OPTIONS, allow
p, catalog:read, orders:/v1/jobs/{id}, GET|PUT, allow
p, catalog:write, orders:/v1/jobs/{id}:cancel, POST, allow, params.id != 'x:y'
p, catalog:read, orders:/v1/jobs/{one}...{other}/compared, GET, allow
p, catalog:read, orders:/v1/search, QUERY, allow
# end
"""


@dataclass(frozen=True)
class World:
    """A server, a service, and every gateway in front of it."""

    server: Server
    upstream: Upstream
    gateways: Mapping[str, Gateway]


def with_orders(directory: Path, rows: str = ROWS) -> Path:
    """A directory with the shipped policy and the rules of another service."""
    policies = directory / "policies"
    shutil.copytree(ROOT / "policies", policies)
    (policies / "upstreams").mkdir(exist_ok=True)
    (policies / "upstreams/orders.openapi.yaml").write_text(ORDERS)
    (policies / "orders.csv").write_text(rows)
    return directory


def built(
    stack: ExitStack,
    directory: Path,
    issuer: LiveIssuer,
    service: str,
    names: Sequence[str] = NAMES,
    *,
    rows: str = ROWS,
    **settings: str,
) -> World:
    """Build the gateways, which live as long as the stack, with the rows of a file of the policy."""
    upstream = stack.enter_context(Upstream())
    server = Server(
        with_orders(directory, rows),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        organizations="clerk",
        gateway_secrets=f"{'x' * 32},{SECRET}",
        public_url="https://authz.example",
    )
    server.env.update({f"AUTHZ_{name.upper()}": value for name, value in settings.items()})
    authz = stack.enter_context(server).url.removeprefix("http://")
    gateways = {
        name: stack.enter_context(
            Gateway(name, directory / name, authz=authz, upstream=upstream.address, service=service)
        )
        for name in names
    }
    return World(server, upstream, gateways)


@pytest.fixture(scope="session")
def world(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The service `orders` behind every gateway."""
    with ExitStack() as stack:
        yield built(stack, tmp_path_factory.mktemp("orders"), issuer, "orders")


@dataclass(frozen=True)
class Hanging:
    """Gateways whose authz hangs, each with a pending request."""

    world: World
    question: bytes
    answers: Mapping[str, Future[bytes]]


@pytest.fixture(scope="session")
def hanging(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hanging]:
    """Started early and checked last: Traefik waits 30 seconds for authz, and no setting changes that."""
    bearer = f"Bearer {issuer.token(permissions=['catalog:read'])}"
    question = f"GET /v1/orders HTTP/1.1\r\nHost: o\r\nConnection: close\r\nAuthorization: {bearer}\r\n\r\n".encode()
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        world = built(stack, tmp_path_factory.mktemp("hanging"), issuer, "orders")
        assert all(gateway.send(question).startswith(b"HTTP/1.1 200") for gateway in world.gateways.values())
        world.upstream.reached.clear()
        world.server.signal(signal.SIGSTOP)
        stack.callback(world.server.signal, signal.SIGCONT)
        asked = {name: pool.submit(gateway.send, question, 40.0) for name, gateway in world.gateways.items()}
        yield Hanging(world, question, asked)


@pytest.fixture(params=NAMES)
def gateway(request: pytest.FixtureRequest, world: World) -> Gateway:
    """Each gateway in turn."""
    return world.gateways[request.param]
