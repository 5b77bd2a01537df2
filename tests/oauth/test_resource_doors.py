"""A token is bound to its resource at every door: the application, gateways, AuthZEN and introspection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.oauth.errors import OAuthError
from app.oauth.resource import covers, covers_upstream, resource_of, resource_of_upstream
from tests.console.conftest import server_for_apps
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

BASE = "https://api.example"
SERVERS = ("https://orders.example/v1", "https://orders.test")
SECRET = "a-gateway-secret-of-more-than-32-characters"
ORDERS = """openapi: 3.1.0
info: {title: Orders, version: "1"}
servers: [{url: "https://orders.example/v1"}]
paths:
  /orders: {get: {responses: {"200": {description: ok}}}}
"""
LOCAL = ORDERS.replace('servers: [{url: "https://orders.example/v1"}]\n', "")
BELOW = ORDERS.replace("https://orders.example/v1", "/below/")


@pytest.mark.parametrize(
    ("asked", "resource"),
    [
        ([], BASE),
        ([BASE], BASE),
        ([f"{BASE}/"], BASE),
        ([BASE, f"{BASE}/"], BASE),
        ([f"{BASE}/mcp"], f"{BASE}/mcp"),
        ([f"{BASE}/a/b-c_d.e~f/"], f"{BASE}/a/b-c_d.e~f"),
        (["https://orders.example/v1"], "https://orders.example/v1"),
        (["https://orders.example/v1/orders"], "https://orders.example/v1/orders"),
        (["https://orders.test/"], "https://orders.test"),
        ([BASE, f"{BASE}/mcp"], None),
        (["https://api.example.evil.example"], None),
        (["https://api.example@evil.example"], None),
        (["https://api.example:444"], None),
        (["http://api.example"], None),
        (["HTTPS://API.EXAMPLE"], None),
        ([f"{BASE}/a?b"], None),
        ([f"{BASE}/a#b"], None),
        ([f"{BASE}/../x"], None),
        ([f"{BASE}/a/./b"], None),
        ([f"{BASE}/a%2Fb"], None),
        ([f"{BASE}//a"], None),
        ([f"{BASE}/{'a' * (499 - len(BASE))}"], f"{BASE}/{'a' * (499 - len(BASE))}"),
        ([f"{BASE}/{'a' * (500 - len(BASE))}"], None),
        (["https://orders.example/v2"], None),
        (["https://orders.example"], None),
        (["urn:x"], None),
        ([""], None),
    ],
)
def test_the_resource_of_a_request(asked: list[str], resource: str | None) -> None:
    if resource is not None:
        assert resource_of(asked, BASE, SERVERS) == resource
        return
    with pytest.raises(OAuthError) as refused:
        resource_of(asked, BASE, SERVERS)
    assert refused.value.code == "invalid_target"


def test_what_a_resource_covers() -> None:
    for resource, base, path, covered in (
        (BASE, BASE, "/", True),
        (BASE, BASE, "/any/path", True),
        (f"{BASE}/mcp", BASE, "/mcp", True),
        (f"{BASE}/mcp", BASE, "/mcp/tools", True),
        (f"{BASE}/mcp", BASE, "/mcp2", False),
        (f"{BASE}/mcp", BASE, "/", False),
        (BASE, None, "/", False),
        (BASE, "https://other.example", "/", False),
        ("https://api.example.evil", BASE, "/", False),
        ("https://api.example.evil", BASE, ".evil", False),
        (f"{BASE}/", BASE, "/any/path", True),
        (f"{BASE}/mcp/", BASE, "/mcp", True),
    ):
        assert covers(resource, base, path) is covered, (resource, base, path)
    for resource, path, covered in (
        ("https://orders.example/v1", "/v1/orders", True),
        ("https://orders.example/v1/orders", "/v1/orders/7", True),
        ("https://orders.example/v1", "/v2/orders", False),
        ("https://orders.test", "/v1/orders", True),
        (BASE, "/v1/orders", False),
        ("https://orders.example", "/v1/orders", False),
    ):
        assert covers_upstream(resource, SERVERS, BASE, path) is covered, (resource, path)
    assert covers_upstream(BASE, (), BASE, "/v1/orders"), "an upstream without an address is behind the public one"
    assert not covers_upstream(BASE, (), None, "/v1/orders")
    both = (SERVERS[0], "/mcp")
    assert covers_upstream("https://orders.example/v1", both, BASE, "/v1/orders"), "the first address counts"
    assert covers_upstream(BASE, both[::-1], BASE, "/v1/orders")
    for resource, path, covered in (
        (BASE, "/mcp/tools", True),
        (f"{BASE}/mcp", "/mcp", True),
        (f"{BASE}/mcp", "/mcp/tools", True),
        (f"{BASE}/mcp", "/mcp2", False),
        ("https://other.example/mcp", "/mcp", False),
    ):
        assert covers_upstream(resource, ("/mcp",), BASE, path) is covered, (resource, path)


@pytest.mark.parametrize(
    ("servers", "path", "resource"),
    [
        ((), "/orders", BASE),
        (("https://orders.example/v1/",), "/v1/orders", "https://orders.example/v1"),
        (("https://orders.example/v1",), "/v1", "https://orders.example/v1"),
        (("https://orders.example/v1",), "/v10", BASE),
        (("https://orders.example/v1", "https://orders.test"), "/v2/orders", "https://orders.test"),
        (("https://orders.example/v1", "https://orders.example/v2"), "/v2/orders", "https://orders.example/v2"),
        (("/mcp",), "/mcp", f"{BASE}/mcp"),
        (("/mcp/",), "/mcp/tools/add", f"{BASE}/mcp"),
        (("/mcp",), "/mcp2", BASE),
    ],
)
def test_the_resource_of_a_path_of_an_upstream(servers: tuple[str, ...], path: str, resource: str) -> None:
    assert resource_of_upstream(servers, BASE, path) == resource
    assert covers_upstream(resource, servers, BASE, path) or resource == BASE


@pytest.fixture(scope="module")
def server(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with three upstreams behind gateways, of which one has an address and one a path of its own."""
    directory: Path = tmp_path_factory.mktemp("doors")
    server = server_for_apps(issuer, directory, trusted_proxies="127.0.0.1", gateway_secrets=SECRET)
    upstreams = server.policy_dir / "upstreams"
    upstreams.mkdir()
    (upstreams / "orders.openapi.yaml").write_text(ORDERS)
    (upstreams / "local.openapi.yaml").write_text(LOCAL)
    (upstreams / "below.openapi.yaml").write_text(BELOW)
    rows = (
        "p, catalog:read, orders:/v1/orders, GET|HEAD, allow",
        "p, catalog:read, local:/orders, GET|HEAD, allow",
        "p, catalog:read, below:/below/orders, GET|HEAD, allow",
        "p, app-kind:registered, scope:decisions:evaluate, ask, allow",
        "p, app-kind:document, scope:catalog:read, ask, allow",
        "p, app-kind:document, scope:holdings:write, ask, allow",
    )
    (server.policy_dir / "upstreams.csv").write_text("".join(f"{row}\n" for row in rows) + "# end\n")
    with server:
        yield server


def question(server: Server, token: str | None, path: str, service: str = "") -> httpx.Response:
    """The answer to a gateway."""
    headers = {
        "X-Gateway-Secret": SECRET,
        "X-Original-Method": "GET",
        "X-Original-URI": path,
        "X-Original-IP": "192.0.2.1",
        **({"Authorization": f"Bearer {token}"} if token else {}),
        **({"X-Gateway-Service": service} if service else {}),
    }
    return httpx.get(f"{server.url}/gateway/nginx", headers=headers, timeout=20)


def ask_gateway(server: Server, token: str, path: str, service: str = "") -> tuple[int, str]:
    """The status of the answer to a gateway, and its reason or the app that it names."""
    answer = question(server, token, path, service)
    return answer.status_code, answer.headers.get("x-auth-reason") or answer.headers.get("x-auth-client", "")


def evaluate(server: Server, issuer: LiveIssuer, token: str, resource: str, kind: str = "route") -> dict[str, Any]:
    """What AuthZEN says of a token."""
    body = {
        "subject": {"type": "token", "id": token},
        "action": {"name": "GET"},
        "resource": {"type": kind, "id": resource},
    }
    with server.client(issuer.token(permissions=["decisions:evaluate", "tokens:introspect"])) as client:
        context: dict[str, Any] = client.post("/access/v1/evaluation", json=body).json()["context"]
    return context


def test_gateways_and_authzen_refuse_a_token_for_another_resource(server: Server, issuer: LiveIssuer) -> None:
    app = ServedApp(server)
    own, orders, below, teams = (
        app.tokens(resource=resource)["access_token"]
        for resource in (
            server.url,
            "https://orders.example/v1",
            f"{server.url}/below",
            f"{server.url}/api/v1/teams",
        )
    )
    allowed, refused = (200, app.client_id), (401, "Invalid audience.")
    for token, path, service, expected in (
        (own, "/api/v1/teams", "", allowed),
        (own, "/orders", "local", allowed),
        (own, "/v1/orders", "orders", refused),
        (orders, "/v1/orders", "orders", allowed),
        (orders, "/api/v1/teams", "", refused),
        (orders, "/orders", "local", refused),
        (below, "/below/orders", "below", allowed),
        (own, "/below/orders", "below", allowed),
        (below, "/orders", "local", refused),
        (below, "/api/v1/teams", "", refused),
        (teams, "/api/v1/teams", "", allowed),
        (teams, "/api/v1/teams/7", "", allowed),
        (teams, "/api/v1/leagues", "", refused),
        (teams, "/below/orders", "below", refused),
    ):
        assert ask_gateway(server, token, path, service) == expected, (path, service)
        asked = evaluate(server, issuer, token, f"{service}:{path}" if service else path)
        assert asked["status"] == expected[0], (path, service)
        if expected == allowed:
            named = asked["subject"]
            assert (named["type"], named["id"], named["owner"]) == ("app", app.client_id, "user_ann")
        else:
            assert "Invalid audience." in asked["challenge"]
    assert [evaluate(server, issuer, token, "record-1", "record")["status"] for token in (own, orders)] == [403, 401]
    called = httpx.get(f"{server.url}/api/v1/teams", headers={"Authorization": f"Bearer {orders}"})
    assert (called.status_code, called.json()) == (401, {"detail": "Invalid audience."})
    assert 'error="invalid_token"' in called.headers["www-authenticate"]


def test_authzen_refuses_a_token_for_another_resource(server: Server) -> None:
    app = ServedApp(server)
    scopes = ["decisions:evaluate"]
    question = {
        "subject": {"type": "user", "id": "user_x"},
        "action": {"name": "GET"},
        "resource": {"type": "route", "id": "/api/v1/teams"},
    }
    for resource, status in ((server.url, 200), (f"{server.url}/api", 401), ("https://orders.example/v1", 401)):
        token = app.tokens(scopes=scopes, permissions=scopes, resource=resource)["access_token"]
        answer = httpx.post(
            f"{server.url}/access/v1/evaluation", json=question, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == status, (resource, answer.text)


def test_challenges_say_what_an_app_may_ask_for(server: Server) -> None:
    metadata = f'resource_metadata="{server.url}/.well-known/oauth-protected-resource"'

    def challenge(path: str, token: str | None = None) -> tuple[int, str]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = httpx.get(server.url + path, headers=headers)
        return answer.status_code, answer.headers["www-authenticate"]

    assert challenge("/api/v1/teams") == (401, f'Bearer scope="catalog:read", {metadata}')
    status, invalid = challenge("/api/v1/teams", "grd_oat_x")
    assert (status, 'scope="catalog:read"' in invalid, metadata in invalid) == (401, True, True)
    found = httpx.get(f"{server.url}/.well-known/oauth-protected-resource").json()
    assert found["scopes_supported"] == ["catalog:read", "holdings:write"], "an app does not ask to write at first"
    app = ServedApp(server)
    narrow = app.tokens(scopes=["catalog:read"])["access_token"]
    status, lacking = challenge("/api/v1/sources", narrow)
    assert (status, 'scope="holdings:read"' in lacking, metadata in lacking) == (403, True, True)
    # No consent would help: the user does not hold it, or no app of this kind may ask for it.
    denied = app.tokens(scopes=["catalog:read"], permissions=["catalog:read"])["access_token"]
    for path in ("/api/v1/sources", "/api/v1/policies"):
        status, final = challenge(path, denied)
        assert (status, "scope=" in final) == (403, False), path


def test_the_challenge_of_a_gateway_names_the_metadata_of_the_service(server: Server) -> None:
    base = f"{server.url}/.well-known/oauth-protected-resource"
    token = ServedApp(server).tokens(scopes=["holdings:read"], resource=server.url)["access_token"]
    for path, service, metadata, resource in (
        ("/api/v1/teams", "", base, server.url),
        ("/orders", "local", base, server.url),
        ("/below/orders", "below", f"{base}/below", f"{server.url}/below"),
        ("/v1/orders", "orders", f"{base}?resource=https%3A%2F%2Forders.example%2Fv1", "https://orders.example/v1"),
        ("/elsewhere", "orders", base, server.url),
    ):
        found = httpx.get(metadata)
        assert (found.status_code, found.json()["resource"]) == (200, resource)
        assert ("resource_name" in found.json()) is (resource == server.url), "a service has a name of its own"
        for answer in (question(server, None, path, service), question(server, "grd_oat_x", path, service)):
            assert answer.status_code == 401
            assert f'resource_metadata="{metadata}"' in answer.headers["www-authenticate"], (path, service)
            assert 'scope="catalog:read"' in answer.headers["www-authenticate"]
    lacking = question(server, token, "/below/orders", "below").headers["www-authenticate"]
    assert f'scope="catalog:read", resource_metadata="{base}/below"' in lacking


@pytest.mark.parametrize(
    "resource",
    [
        "https://orders.example",
        "https://orders.example/v2",
        "https://evil.example",
        "/below",
        "",
        "urn:x",
        "https://orders.example/v1?a",
    ],
)
def test_there_is_no_metadata_of_another_resource(server: Server, resource: str) -> None:
    found = httpx.get(f"{server.url}/.well-known/oauth-protected-resource", params={"resource": resource})
    assert found.status_code == 404
    assert found.json() == {"detail": "This is neither a part of the public address nor of a service behind a gateway."}


def test_the_metadata_of_a_part_of_a_service(server: Server) -> None:
    for resource in ("https://orders.example/v1/orders", "https://orders.example/v1/", server.url, f"{server.url}/x"):
        found = httpx.get(f"{server.url}/.well-known/oauth-protected-resource", params={"resource": resource})
        assert (found.status_code, found.json()["resource"]) == (200, resource.removesuffix("/"))
