"""No request reaches a service unless the policy allows it as the service sees it.

scripts/hostile.py sends any number of random mixtures.
"""

from __future__ import annotations

from itertools import chain

from tests.gateway.conftest import World
from tests.gateway.gateways import Gateway
from tests.gateway.hostile import SUBJECT, corpus, faults, mixed
from tests.support.issuer import LiveIssuer

MIXTURES = 120


def test_the_corpus_is_large_and_its_requests_are_distinct() -> None:
    requests = {hostile.data for hostile in corpus("token")}
    assert len(requests) >= 500


def test_no_hostile_request_reaches_a_denied_resource(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    token = issuer.token(sub=SUBJECT, permissions=["catalog:read"])
    wrong: list[str] = []
    through = 0
    for hostile in chain(corpus(token), mixed(token, 1, MIXTURES)):
        wrong += faults(gateway, world.upstream, hostile)
        through += len(world.upstream.reached)
    assert not wrong, "\n".join(wrong[:20])
    # Gateways do pass requests: some of these are harmless.
    assert through > 50
    # An ordinary request still passes after all of them.
    assert gateway.ask("GET", "/v1/orders/7", Authorization=f"Bearer {token}").status == 200
