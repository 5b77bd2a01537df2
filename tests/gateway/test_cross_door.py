"""The same verdict at every door, for every endpoint of the application and every kind of caller."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from app.asgi import route_table
from app.console.config import is_page
from app.policy.routing.routes import Route
from tests.gateway.conftest import World, built
from tests.support.issuer import LiveIssuer

# The slow answer for test_silent.py arrives during these tests.
pytestmark = pytest.mark.usefixtures("hanging")
CALLERS = (
    "anonymous",
    "nothing",
    "catalog:read",
    "catalog:write",
    "holdings:read holdings:write",
    "policies:write",
    "key",
)


@pytest.fixture(scope="module")
def world(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Gateways in front of a service with the routes of the application."""
    with ExitStack() as stack:
        yield built(stack, tmp_path_factory.mktemp("cross"), issuer, "")


def _token(caller: str, world: World, issuer: LiveIssuer) -> str | None:
    if caller == "anonymous":
        return None
    if caller != "key":
        return issuer.token(permissions=[] if caller == "nothing" else caller.split())
    with world.server.client(issuer.token(permissions=["catalog:read", "holdings:write"])) as client:
        body = {"name": "k", "scopes": ["catalog:read", "holdings:write"], "environment": "test"}
        plaintext: str = client.post("/api/v1/api-keys", json=body).json()["plaintext"]
        return plaintext


def _verdict(client: httpx.Client, method: str, path: str) -> tuple[int, str]:
    """200 for an allowed request; otherwise the status, with what the challenge names as missing."""
    answer = client.request(method, path)
    if answer.status_code in (401, 403):
        return answer.status_code, answer.headers["www-authenticate"]
    return 200, ""


def _concrete(route: Route) -> str:
    return "/".join("999999" if part.startswith("{") else part for part in route.template.split("/"))


def _subject(caller: str, token: str | None) -> dict[str, Any]:
    """The caller as an AuthZEN subject."""
    if token is None:
        return {"type": "anonymous", "id": ""}
    if caller == "key":
        return {"type": "key", "id": "1"}
    return {"type": "user", "id": "user_test", "properties": {"permissions": "" if caller == "nothing" else caller}}


def _over_authzen(
    world: World, issuer: LiveIssuer, subject: dict[str, Any], endpoints: list[tuple[str, str]]
) -> list[bool]:
    items = [{"action": {"name": method}, "resource": {"type": "route", "id": path}} for method, path in endpoints]
    with world.server.client(issuer.token(sub="user_pep", permissions=["decisions:evaluate"])) as client:
        answer = client.post("/access/v1/evaluations", json={"subject": subject, "evaluations": items})
    assert answer.status_code == 200, answer.text
    return [item["decision"] for item in answer.json()["evaluations"]]


@pytest.mark.parametrize("caller", CALLERS)
def test_every_endpoint_gets_the_same_verdict_at_every_door(world: World, issuer: LiveIssuer, caller: str) -> None:
    token = _token(caller, world, issuer)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    doors = {"app": world.server.url} | {n: f"http://127.0.0.1:{g.port}" for n, g in world.gateways.items()}
    verdicts: dict[int, int] = {}
    opened: dict[Route, bool] = {}
    with ExitStack() as stack:
        clients = {
            name: stack.enter_context(httpx.Client(base_url=url, headers=headers, timeout=20))
            for name, url in doors.items()
        }
        # Pages read the cookie of a session and no token, so only the application has a door for them.
        for route in (route for route in route_table().routes if not is_page(route.template)):
            told = {name: _verdict(client, route.method, _concrete(route)) for name, client in clients.items()}
            assert len(set(told.values())) == 1, f"{route}: {told}"
            verdicts[told["app"][0]] = verdicts.get(told["app"][0], 0) + 1
            opened[route] = told["app"][0] == 200
    for kind in (_concrete, lambda route: route.template):
        answers = _over_authzen(world, issuer, _subject(caller, token), [(r.method, kind(r)) for r in opened])
        wrong = [str(route) for route, answer in zip(opened, answers, strict=True) if answer is not opened[route]]
        assert not wrong, wrong
    # A caller that is allowed everywhere, or nowhere, would prove nothing.
    assert len(verdicts) > 1, verdicts
    assert sum(verdicts.values()) > 140
