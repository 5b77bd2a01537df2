"""Authentication of gateways by a secret or an address."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.gateway.authentication import GatewayAuthenticator

FIRST, SECOND = "a-secret-of-the-first-gateway", "ein Geheimnis für das zweite"
NETWORKS = ("10.0.0.0/8", "192.0.2.9", "fd00::/8", "::ffff:198.51.100.0/120")


def believes(proof: GatewayAuthenticator, peer: str | None, *secrets: str, name: str = "x-gateway-secret") -> bool:
    return proof.is_authentic([(b"accept", b"*/*"), *((name.encode(), each.encode()) for each in secrets)], peer)


@pytest.mark.parametrize("peer", ["10.1.2.3", "203.0.113.7", None])
def test_any_of_the_secrets_authenticates_a_gateway(peer: str | None) -> None:
    proof = GatewayAuthenticator([FIRST, SECOND], ())
    for secret in (FIRST, SECOND):
        for name in ("x-gateway-secret", "X-Gateway-Secret"):
            assert believes(proof, peer, secret, name=name)
    for secret in ("", FIRST[:-1], FIRST + "x", FIRST[1:], FIRST.upper(), FIRST + SECOND, f"{FIRST} "):
        assert not believes(proof, peer, secret), secret
    assert not believes(proof, peer, FIRST, name="x-gateway-secrets")
    assert not believes(proof, peer)


@pytest.mark.parametrize("stated", [(FIRST, FIRST), (FIRST, SECOND), (FIRST, "wrong"), ("wrong", FIRST), ("", FIRST)])
def test_a_repeated_secret_is_refused(stated: tuple[str, str]) -> None:
    for networks in ((), ("10.0.0.0/8",)):
        proof = GatewayAuthenticator([FIRST, SECOND], [ip_network(network) for network in networks])
        assert not believes(proof, "10.1.2.3", *stated)


@pytest.mark.parametrize(
    ("peer", "near"),
    [
        *((peer, True) for peer in ("10.0.0.0", "10.255.255.255", "192.0.2.9", "fd00::1", "::ffff:10.1.2.3")),
        *((peer, True) for peer in ("198.51.100.0", "198.51.100.255", "::ffff:198.51.100.7")),
        *((peer, False) for peer in ("9.255.255.255", "11.0.0.0", "192.0.2.8", "192.0.2.10", "fe00::1", "::1")),
        *((peer, False) for peer in ("198.51.99.255", "198.51.101.0", "::ffff:11.0.0.0", "::10.1.2.3", "::a01:203")),
        *((peer, False) for peer in (None, "", "/run/gateway.sock", "localhost", "10.1.2", "10.1.2.3.4", "fd00::1%1")),
    ],
)
def test_an_address_in_a_trusted_network_authenticates_a_gateway(peer: str | None, near: bool) -> None:
    networks = [ip_network(network) for network in NETWORKS]
    for secrets in ((), (FIRST,)):
        proof = GatewayAuthenticator(secrets, networks)
        assert believes(proof, peer) is near
        assert not believes(proof, peer, "wrong"), "the address does not compensate for a wrong secret"
        assert believes(proof, peer, FIRST) is bool(secrets)


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "10.1.2.3", "", None])
def test_without_a_setting_there_is_no_gateway(peer: str | None) -> None:
    proof = GatewayAuthenticator((), ())
    assert not believes(proof, peer)
    for secret in ("", FIRST):
        assert not believes(proof, peer, secret)
