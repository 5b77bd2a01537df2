"""Tokens up to the default limit and tokens with many permissions pass every gateway."""

from __future__ import annotations

from tests.gateway.conftest import World
from tests.gateway.gateways import Gateway
from tests.support.issuer import LiveIssuer


def status(gateway: Gateway, token: str) -> bytes:
    question = f"GET /v1/orders HTTP/1.1\r\nHost: o\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    return gateway.send(question.encode()).split(b" ", 2)[1]


def test_a_token_with_many_groups_passes(gateway: Gateway, world: World, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["catalog:read"], groups=[f"{number:036}" for number in range(290)])
    assert 15_000 < len(token) < 16_384
    assert status(gateway, token) == b"200"
    assert status(gateway, token[:-8] + "A" * 8) == b"401"


def test_a_token_with_many_permissions_passes_with_its_subject(
    gateway: Gateway, world: World, issuer: LiveIssuer
) -> None:
    for permissions in ([f"made-up:{number}" for number in range(700)], ["made-up:" + "x" * 9_000]):
        world.upstream.reached.clear()
        for _ in range(2):
            assert status(gateway, issuer.token(sub="user_many", permissions=["catalog:read", *permissions])) == b"200"
        assert [reached.header("x-auth-subject") for reached in world.upstream.reached] == [["user_many"]] * 2
        assert [reached.header("x-auth-permissions") for reached in world.upstream.reached] == [["catalog:read"]] * 2
        assert status(gateway, issuer.token(sub="user_many", permissions=permissions)) == b"403"
