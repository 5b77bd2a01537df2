"""Parameters within segments and unusual methods of OpenAPI documents, through each gateway."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import World
from tests.gateway.gateways import Gateway
from tests.support.issuer import LiveIssuer


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/jobs/7", 200),
        ("PUT", "/v1/jobs/7", 200),
        ("POST", "/v1/jobs/7:cancel", 200),
        ("POST", "/v1/jobs/x:y:cancel", 403),
        # A service may read it as a job of that name, or as the cancellation of one.
        ("PUT", "/v1/jobs/7:cancel", 403),
        ("GET", "/v1/jobs/7:cancel", 403),
        ("POST", "/v1/jobs/7%3Acancel", 403),
        ("POST", "/v1/jobs/7", 403),
        ("GET", "/v1/jobs/a...b/compared", 200),
        ("GET", "/v1/jobs/a....b/compared", 403),
        ("QUERY", "/v1/search", 200),
        ("GET", "/v1/search", 403),
    ],
)
def test_each_gateway_allows_distinguishable_routes(
    world: World, gateway: Gateway, issuer: LiveIssuer, *, method: str, path: str, status: int
) -> None:
    token = issuer.token(permissions=["catalog:read", "catalog:write"])
    world.upstream.reached.clear()
    answer = gateway.ask(method, path, Authorization=f"Bearer {token}")
    if method == "QUERY" and gateway.name == "envoy":
        status = 400  # Envoy itself refuses the method
    assert answer.status == status
    assert bool(world.upstream.reached) == (status == 200)
