"""The reason of a denial at a gateway: exact in the decision log and `X-Auth-Reason`, not in the body."""

from __future__ import annotations

import json

import pytest

from tests.gateway.conftest import World
from tests.gateway.gateways import Gateway
from tests.support.issuer import LiveIssuer
from tests.support.server import eventually

FORBIDDEN = {"detail": "Token is missing one or more required permissions."}
NO_ROUTE, NOT_HELD = "no route matches it", "missing grants"
CLOSED = "its OpenAPI document is ambiguous about it"
NOT_PROVIDED = "Authentication credentials were not provided."
ENCODED = "The path encodes a character that must not be encoded."


@pytest.mark.parametrize(
    ("method", "path", "known", "status", "reason"),
    [
        ("GET", "/V1/orders/7", True, 403, NO_ROUTE),
        ("GET", "/v1/packages/scope", True, 403, NO_ROUTE),
        ("GET", "/v1/pairs/all/of", True, 403, CLOSED),
        ("GET", "/v1/orders/7/items", False, 401, NOT_PROVIDED),
        ("GET", "/v1/orders/7", False, 401, NOT_PROVIDED),
        ("PUT", "/v1/orders", True, 403, "no rule covers it"),
        ("POST", "/v1/orders", True, 403, NOT_HELD),
        ("GET", "/v1/orders/export:all", True, 403, "a rule denies it"),
        ("GET", "/v1/packages/@scope%3Fname", True, 403, ENCODED),
    ],
)
def test_a_denial_has_its_reason(
    world: World, gateway: Gateway, issuer: LiveIssuer, *, method: str, path: str, known: bool, status: int, reason: str
) -> None:
    world.upstream.reached.clear()
    headers = {"Authorization": f"Bearer {issuer.token(permissions=['catalog:read'])}"} if known else {}
    answer = gateway.ask(method, path, **headers)
    assert (answer.status, answer.headers["x-auth-reason"]) == (status, reason)
    if status == 403 and reason != ENCODED:
        assert json.loads(answer.body) == FORBIDDEN
        assert "insufficient_scope" in answer.headers["www-authenticate"]
    assert not world.upstream.reached


def test_an_encoded_slash_is_still_refused(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    world.upstream.reached.clear()
    bearer = f"Bearer {issuer.token(permissions=['catalog:read'])}"
    assert gateway.ask("GET", "/v1/orders/@scope%2Fname", Authorization=bearer).status in (400, 403)  # Envoy by itself
    assert not world.upstream.reached


def test_the_log_has_the_same_reason_and_no_permission_that_was_missing(world: World, issuer: LiveIssuer) -> None:
    token = issuer.token(sub="user_lost", permissions=["catalog:read", "decisions:read"])
    for gateway in world.gateways.values():
        gateway.ask("GET", "/V1/orders/7", Authorization=f"Bearer {token}")
    with world.server.client(token) as client:

        def logged() -> dict[str, tuple[str, list[str]]]:
            found = client.get("/api/v1/decisions/", params={"subject": "user_lost", "verdict": "deny"}).json()
            return {row["door"]: (row["reason"], row["missing"]) for row in found["results"]}

        assert eventually(lambda: logged() == dict.fromkeys(world.gateways, (NO_ROUTE, [])), 5), logged()
