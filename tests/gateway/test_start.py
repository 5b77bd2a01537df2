"""Starting a gateway for tests on a free port."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateway import gateways
from tests.gateway.conftest import World
from tests.gateway.gateways import Gateway
from tests.support.server import free_port


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program has taken."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        yield other.getsockname()[1]


def caddy(world: World, directory: Path) -> Gateway:
    authz = world.server.url.removeprefix("http://")
    return Gateway("caddy", directory, authz=authz, upstream=world.upstream.address)


def test_a_gateway_starts_on_another_port_when_its_port_was_taken(
    world: World, tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = iter([taken, free_port()])
    monkeypatch.setattr(gateways, "free_port", lambda: next(ports))
    with caddy(world, tmp_path) as gateway:
        assert gateway.port != taken
        assert gateway.ask("GET", "/v1/public").status == 200


def test_a_gateway_that_finds_no_free_port_does_not_start(
    world: World, tmp_path: Path, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateways, "free_port", lambda: taken)
    with pytest.raises(RuntimeError, match="address already in use"), caddy(world, tmp_path):
        pass
