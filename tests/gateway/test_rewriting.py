"""Traefik in front of a service below a prefix: the decision is about the path that the service receives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.gateway.conftest import World
from tests.gateway.gateways import SECRET, Gateway
from tests.support.issuer import LiveIssuer

ASKED = "middlewares: [prove, authz,"
MIDDLEWARES = "  middlewares:\n    # What authz"
STRIP, REPLACE = "{stripPrefix: {prefixes: [/shop]}}", "{replacePath: {path: /v1/orders/7}}"
FORGED = {"X_Forwarded_Prefix": "/v1/public", "X_Forwarded_Uri": "/v1/public", "X_Replaced_Path": "/v1/public"}


@pytest.fixture(scope="module")
def rewriting(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gateway]]:
    """Traefik with another middleware: as documented, and one that strips the prefix after the request to authz."""
    variants = {
        "strip": (STRIP, "prove, rewrite, authz"),
        "strip late": (STRIP, "prove, authz, rewrite"),
        "replace": (REPLACE, "prove, rewrite, authz"),
    }
    with ExitStack() as stack:
        gateways = {}
        for name, (middleware, order) in variants.items():
            gateways[name] = Gateway(
                "traefik",
                tmp_path_factory.mktemp("traefik"),
                authz=world.server.url.removeprefix("http://"),
                upstream=world.upstream.address,
                edits={
                    ASKED: f"middlewares: [{order},",
                    MIDDLEWARES: MIDDLEWARES.replace("    #", f"    rewrite: {middleware}\n    #"),
                },
            )
            stack.enter_context(gateways[name])
        yield gateways


@pytest.mark.parametrize(
    ("gateway", "path", "target"),
    [
        ("strip", "/shop/v1/orders/7?x=/shop", "/v1/orders/7?x=/shop"),
        ("strip", "/v1/orders/7", "/v1/orders/7"),
        ("strip", "/shop/v1/admin/users", None),
        ("strip", "/shopv1/admin/users", None),
        ("strip", "/shop/shop/v1/orders/7", None),
        ("strip", "/shop/v1/orders/../admin/users", None),
        ("strip", "/shop/%76%31/admin/users", None),
        ("strip", "/shop%2Fv1/admin/users", None),
        ("strip", "/shop", None),
        ("strip late", "/shop/v1/orders/7", None),
        ("strip late", "/shop/v1/admin/users", None),
        ("replace", "/v1/admin/users", "/v1/orders/7"),
    ],
)
def test_the_decision_is_about_the_path_that_the_service_receives(
    world: World,
    issuer: LiveIssuer,
    rewriting: dict[str, Gateway],
    *,
    gateway: str,
    path: str,
    target: str | None,
) -> None:
    token = issuer.token(permissions=["catalog:read"])
    for headers in ({}, FORGED):
        world.upstream.reached.clear()
        answer = rewriting[gateway].ask("GET", path, Authorization=f"Bearer {token}", **headers)
        assert [reached.target for reached in world.upstream.reached] == ([target] if target else [])
        assert (answer.status == 200) is bool(target)
        for reached in world.upstream.reached:
            assert "/v1/public" not in [value for _, value in reached.headers]
            if path.startswith("/shop"):
                assert reached.header("x-forwarded-prefix") == ["/shop"]


def test_the_stripped_prefix_is_ignored_and_accepted_from_traefik_only(world: World) -> None:
    proof = [("X-Gateway-Secret", SECRET), ("X-Gateway-Service", "orders"), ("X-Forwarded-Method", "GET")]
    question = [*proof, ("X-Forwarded-Uri", "/v1/public"), ("X-Forwarded-Prefix", "/v1/admin")]
    shut = [*proof, ("X-Forwarded-Uri", "/v1/admin/users"), ("X-Forwarded-Prefix", "/v1/public")]
    replaced = [*proof, ("X-Forwarded-Uri", "/v1/public"), ("X-Replaced-Path", "/v1/admin/users")]
    with world.server.client() as client:
        for headers, statuses in ((question, (200, 403)), (shut, (401, 403)), (replaced, (200, 200))):
            told = tuple(client.get(f"/gateway/{name}", headers=headers).status_code for name in ("traefik", "caddy"))
            assert told == statuses
        twice = client.get("/gateway/traefik", headers=[*question, question[-1]])
        assert twice.json() == {"detail": "The header `X-Forwarded-Prefix` is sent more than once."}
