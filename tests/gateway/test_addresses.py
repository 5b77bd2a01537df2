"""The client's address through every gateway: that of the connection, never one that a client sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.gateway.conftest import World, built
from tests.gateway.gateways import PROGRAMS
from tests.support.issuer import LiveIssuer

BALANCER, CLIENT = "127.0.0.1", "127.0.0.2"
FORGED = [
    [],
    ["X-Forwarded-For: 10.0.0.1"],
    ["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 127.0.0.1"],
    ["X-Forwarded-For: 10.0.0.1, 127.0.0.1"],
    ["X-Real-IP: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Envoy-External-Address: 10.0.0.1"],
]


@pytest.fixture(scope="module")
def addressed(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Every gateway, and one authz that trusts a balancer at 127.0.0.1."""
    with ExitStack() as stack:
        directory = tmp_path_factory.mktemp("addressed")
        yield built(stack, directory, issuer, "orders", tuple(PROGRAMS), trusted_proxies=BALANCER)


def statuses(world: World, token: str, path: str, source: str, lines: list[str]) -> dict[str, bytes]:
    head = [f"GET {path} HTTP/1.1", "Host: o", "Connection: close", f"Authorization: Bearer {token}", *lines, "", ""]
    data = "\r\n".join(head).encode()
    return {name: gateway.send(data, source=source)[9:12] for name, gateway in world.gateways.items()}


@pytest.mark.parametrize("lines", FORGED)
def test_the_client_address_is_that_of_the_connection(addressed: World, issuer: LiveIssuer, lines: list[str]) -> None:
    token = issuer.token(permissions=["catalog:read"])
    assert set(statuses(addressed, token, "/v1/near", CLIENT, lines).values()) == {b"200"}
    assert set(statuses(addressed, token, "/v1/far", CLIENT, lines).values()) == {b"403"}


def test_forged_authz_response_headers_do_not_reach_the_service(addressed: World) -> None:
    names = ("Reason", "Body", "Subject", "Key-Id")
    forged = {f"X-Auth-{name}": "forged" for name in names}
    addressed.upstream.reached.clear()
    for gateway in addressed.gateways.values():
        assert gateway.ask("GET", "/v1/public", **forged).status == 200
    reached = addressed.upstream.reached
    assert len(reached) == len(addressed.gateways)
    assert "forged" not in [value for request in reached for _, value in request.headers]


@pytest.mark.parametrize(
    ("lines", "near", "far"),
    [
        ([], b"403", b"403"),
        (["X-Forwarded-For: 127.0.0.2"], b"200", b"403"),
        (["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 127.0.0.2"], b"200", b"403"),
        (["X-Forwarded-For: 127.0.0.2", "X-Forwarded-For: 10.0.0.1, 127.0.0.1"], b"403", b"200"),
        (["X-Forwarded-For: unknown"], b"403", b"403"),
        (["X-Forwarded-For: 127.0.0.1"], b"403", b"403"),
    ],
)
def test_behind_a_balancer_only_a_gateway_that_reads_the_hops_knows_the_client(
    addressed: World, issuer: LiveIssuer, lines: list[str], near: bytes, far: bytes
) -> None:
    token = issuer.token(permissions=["catalog:read"])
    for path, known in (("/v1/near", near), ("/v1/far", far)):
        expected = {name: known if PROGRAMS[name].reads_hops else b"403" for name in addressed.gateways}
        assert statuses(addressed, token, path, BALANCER, lines) == expected
