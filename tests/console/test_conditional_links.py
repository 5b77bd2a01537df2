"""Links to pages whose rows have conditions: they are shown where the policy would open the page to the same caller."""

from __future__ import annotations

from ipaddress import ip_network
from types import SimpleNamespace

import pytest
from litestar import Litestar
from litestar.testing import RequestFactory

from app.console.page import may_open, page
from app.gateway.proxies import TrustedProxies
from app.identity.principal import Principal, user_principal
from app.policy.routing.routes import Route, RouteTable
from app.services import AnyRequest
from tests.policy.small import snapshot
from tests.support.services import state_of

TABLE = RouteTable(
    [Route("/console/keys", "GET"), Route("/console/decisions", "GET"), Route("/console/decisions", "POST")]
)
POLICY = snapshot(
    "p, auth:jwt, /console/keys, GET, allow, \"subject.id == 'ann' && request.ip == '192.0.2.1'\"",
    "p, auth:jwt, /console/decisions, POST, allow, \"action.name == 'POST' && resource.id == '/console/decisions'\"",
    "p, auth:jwt, /console/decisions, GET, allow, \"request.path == '/console/decisions'\"",
    table=TABLE,
)
ANN, BOB = user_principal("ann", [], {}), user_principal("bob", [], {})


def request_of(caller: Principal, address: str) -> AnyRequest:
    """A request of a user through a trusted proxy."""
    state = state_of(
        live=SimpleNamespace(active=POLICY),
        proxies=TrustedProxies([ip_network("127.0.0.0/8")]),
        settings=SimpleNamespace(api_title="Griddy API"),
    )
    request = RequestFactory(Litestar(state=state)).get("/console/account", headers={"X-Forwarded-For": address})
    request.scope["user"], request.scope["client"] = caller, ("127.0.0.1", 1)
    return request


@pytest.mark.parametrize(
    ("caller", "address", "is_open"),
    [(ANN, "192.0.2.1", True), (ANN, "192.0.2.2", False), (BOB, "192.0.2.1", False)],
    ids=["both", "another address", "another user"],
)
def test_a_condition_on_the_caller_is_met_by_a_link(caller: Principal, address: str, *, is_open: bool) -> None:
    request = request_of(caller, address)
    assert may_open(request, "/console/keys") is is_open
    shown = page(request, "signed_out.html", at_issuer=None, issuer="issuer.example").content
    assert ("My keys" in shown) is is_open


def test_a_condition_on_the_action_and_the_page_is_met_by_a_link() -> None:
    request = request_of(BOB, "192.0.2.1")
    assert may_open(request, "/console/decisions", "POST")


def test_a_condition_on_the_path_is_not_met_by_a_link_whose_path_is_unknown() -> None:
    request = request_of(ANN, "192.0.2.1")
    assert not may_open(request, "/console/decisions")
    shown = page(request, "signed_out.html", at_issuer=None, issuer="issuer.example").content
    assert "Decisions" not in shown
