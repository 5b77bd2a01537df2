"""Preflights and HEAD behind a gateway: decided by rows, with the same verdict at every gateway and over AuthZEN."""

from __future__ import annotations

import pytest

from tests.gateway.conftest import World
from tests.gateway.gateways import Gateway
from tests.support.issuer import LiveIssuer

PREFLIGHT = {"Origin": "https://app.example", "Access_Control_Request_Method": "PUT"}
# Method, path, the status for an anonymous caller, and that for a reader.
QUESTIONS = [
    ("OPTIONS", "/v1/shared", 200, 200),
    ("OPTIONS", "/v1/shared/", 200, 200),
    ("OPTIONS", "/v1/orders", 401, 403),
    ("OPTIONS", "/v1/nothing", 401, 403),
    ("HEAD", "/v1/public", 200, 200),
    ("HEAD", "/v1/shared", 401, 200),
    ("HEAD", "/v1/orders/7", 401, 200),
    ("HEAD", "/v1/orders/export:all", 401, 403),
    ("HEAD", "/v1/admin/users", 401, 403),
]


def test_only_rows_allow_preflights_and_head(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    reader = {"Authorization": f"Bearer {issuer.token(permissions=['catalog:read'])}"}
    for method, path, stranger, known in QUESTIONS:
        for status, headers in ((stranger, PREFLIGHT), (known, {**PREFLIGHT, **reader})):
            world.upstream.reached.clear()
            answer = gateway.ask(method, path, **headers)
            assert answer.status == status, (method, path, headers)
            reached = [(request.method, request.target) for request in world.upstream.reached]
            assert reached == [(method, path)] * (status == 200)


@pytest.mark.parametrize("permissions", ["", "catalog:read"])
def test_preflights_and_head_have_the_same_verdict_over_authzen(
    world: World, issuer: LiveIssuer, permissions: str
) -> None:
    subject = {"type": "user", "id": "user_test", "properties": {"permissions": permissions}}
    body = {
        "subject": subject if permissions else {"type": "anonymous", "id": ""},
        "evaluations": [
            {"action": {"name": method}, "resource": {"type": "route", "id": f"orders:{path}"}}
            for method, path, _, _ in QUESTIONS
        ],
    }
    with world.server.client(issuer.token(sub="user_pep", permissions=["decisions:evaluate"])) as client:
        answers = client.post("/access/v1/evaluations", json=body).json()["evaluations"]
    expected = [(known if permissions else stranger) == 200 for _, _, stranger, known in QUESTIONS]
    assert [answer["decision"] for answer in answers] == expected
