"""Nothing reaches a service that the policy does not open for what the service saw."""

from __future__ import annotations

from tests.gateway.conftest import World
from tests.gateway.gateways import SECRET, Gateway
from tests.gateway.hostile import Hostile, corpus, reader_may, readings
from tests.issuer import LiveIssuer

SUBJECT = "user_reader"


def faults(gateway: Gateway, world: World, hostile: Hostile) -> list[str]:
    """What went wrong with one request: everything that reached the service is held against the oracle."""
    world.upstream.reached.clear()
    answer = gateway.send(hostile.data, 0.7)  # some of these wait for more, which never comes
    found = []
    for reached in list(world.upstream.reached):
        wrong = [reading for reading in readings(reached) if not reader_may(*reading)]
        if wrong:
            found.append(f"{gateway.name}: {hostile.what}: reached as {reached.method} {reached.target}: {wrong[:3]}")
        who = (reached.header("x-auth-subject"), reached.header("x-auth-permissions"), reached.header("x-auth-key-id"))
        # A request of HTTP/0.9 has no headers, so nobody sends it, and what is open to all is open to it.
        nobody = who == ([], [], []) and reached.target == "/v1/public" and b"HTTP/" not in hostile.data
        if who != ([SUBJECT], ["catalog:read"], []) and not nobody:
            found.append(f"{gateway.name}: {hostile.what}: the service is told {who}")
        if SECRET in "".join(value for _, value in reached.headers) or reached.header("x-gateway-service"):
            found.append(f"{gateway.name}: {hostile.what}: the gateway's proof reached the service")
    if answer.startswith(b"HTTP/") and b" 200 " in answer[:15] and not world.upstream.reached:
        found.append(f"{gateway.name}: {hostile.what}: 200 without a service")
    return found


def test_the_corpus_is_large_and_its_requests_are_distinct(issuer: LiveIssuer) -> None:
    requests = {hostile.data for hostile in corpus("token")}
    assert len(requests) >= 500


def test_no_hostile_spelling_reaches_what_is_shut(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    token = issuer.token(sub=SUBJECT, permissions=["catalog:read"])
    wrong: list[str] = []
    through = 0
    for hostile in corpus(token):
        wrong += faults(gateway, world, hostile)
        through += len(world.upstream.reached)
    assert not wrong, "\n".join(wrong[:20])
    # Not because nothing gets through: some of these are harmless after all.
    assert through > 50
    # The world works: an ordinary request goes through after all of them.
    assert gateway.ask("GET", "/v1/orders/7", Authorization=f"Bearer {token}").status == 200
