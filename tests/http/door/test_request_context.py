"""What conditions read of a request to the application, and of what its caller could request next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest

from app.gateway.proxies import TrustedProxies
from app.http.door.request_context import link_context, request_context
from app.identity.principal import user_principal
from tests.policy.small import snapshot

ANN = user_principal("ann", ["a:read"], {"level": 7})
POLICY = snapshot("g, user:ann, role:editor", "p, role:editor, /x/{id}, GET, allow", "p, a:read, /y, GET, allow")
PROXIES = TrustedProxies([ip_network("10.0.0.0/8")])
KINDS = pytest.mark.parametrize("make", [request_context, link_context])


def scope(peer: str | None = "10.0.0.1", *forwarded: str, kind: str = "http") -> Any:
    """The scope of a POST, or of a WebSocket."""
    return {
        "type": kind,
        "path": "/x/7",
        "path_params": {"id": 7},
        "client": (peer, 4321) if peer else None,
        "headers": [(b"x-forwarded-for", line.encode()) for line in forwarded],
        **({"method": "POST"} if kind == "http" else {}),
    }


@KINDS
def test_subject_resource_and_action_are_those_of_the_decision(make: Any) -> None:
    variables = make(scope(), ANN, POLICY, "/x/{id}", "GET", proxies=PROXIES)
    assert variables["resource"] == {"type": "route", "id": "/x/{id}", "properties": {}}
    assert variables["action"] == {"name": "GET", "properties": {}}
    subject = variables["subject"]
    assert (subject["type"], subject["id"], subject["claims"]) == ("user", "ann", {"level": 7})
    assert subject["permissions"] == POLICY.effective(ANN.held) >= {"a:read", "role:editor", "user:ann"}
    assert variables["context"] == {}


@KINDS
@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", (), "192.0.2.1"),
        ("192.0.2.1", ("192.0.2.9",), "192.0.2.1"),
        ("10.0.0.1", ("192.0.2.9",), "192.0.2.9"),
        ("10.0.0.1", ("8.8.8.8, 192.0.2.9", "10.0.0.2"), "192.0.2.9"),
        ("10.0.0.1", ("unknown",), None),
        ("10.0.0.1", (), None),
        (None, ("192.0.2.9",), None),
    ],
)
def test_a_request_is_from_its_client_and_of_now(
    make: Any, peer: str | None, forwarded: tuple[str, ...], address: str | None
) -> None:
    before = datetime.now(UTC)
    request = make(scope(peer, *forwarded), ANN, POLICY, "/x/{id}", "GET", proxies=PROXIES)["request"]
    assert before <= request["time"] <= before + timedelta(minutes=1)
    assert request.get("ip") == address
    assert ("ip" in request) is (address is not None)


def test_a_request_has_its_method_path_and_parameters() -> None:
    variables: Any = request_context(scope(), ANN, POLICY, "/x/{id}", "GET", proxies=PROXIES)
    assert (variables["request"]["method"], variables["request"]["path"]) == ("POST", "/x/7")
    assert variables["params"] == {"id": "7"}, "as text, whatever the handler reads"
    socket: Any = request_context(scope(kind="websocket"), ANN, POLICY, "/x/{id}", "WEBSOCKET", proxies=PROXIES)
    assert socket["request"].keys() == {"time", "path"}


def test_of_a_next_request_only_the_method_is_known() -> None:
    variables: Any = link_context(scope("192.0.2.1"), ANN, POLICY, "/x/{id}", "GET", proxies=PROXIES)
    assert variables["request"].keys() == {"time", "ip", "method"}
    assert variables["request"]["method"] == "GET"
    assert variables["params"] == {}
