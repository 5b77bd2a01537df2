"""Forward-auth: the same verdict, body and challenge at every gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.db.session import Sessions
from tests.gateway.conftest import World, built, with_orders
from tests.gateway.gateways import PROGRAMS, SECRET, Gateway
from tests.oauth.flows import new_flow
from tests.oauth.served import in_database
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

SERVICE = "https://orders.example/v1"  # by its OpenAPI document
FORBIDDEN = "Token is missing one or more required permissions."
ENCODED = "The path encodes a character that must not be encoded."
METADATA = "https://authz.example/.well-known/oauth-protected-resource"
OF_ORDERS = "?resource=https%3A%2F%2Forders.example%2Fv1"  # the server in its document


def _key(world: World, issuer: LiveIssuer, *scopes: str) -> dict[str, object]:
    with world.server.client(issuer.token(sub="user_owner", permissions=list(scopes))) as client:
        answer = client.post("/api/v1/api-keys", json={"name": "k", "scopes": list(scopes)})
    issued: dict[str, object] = answer.json()
    return issued


def test_a_user_is_allowed_and_the_service_receives_the_subject(
    world: World, gateway: Gateway, issuer: LiveIssuer
) -> None:
    world.upstream.reached.clear()
    token = issuer.token(sub=" user_é %0D: 1 ", permissions=["catalog:read", "made:up", "catalog:write"])
    answer = gateway.ask("GET", "/v1/orders/7?x=%2e%2e/y", Authorization=f"Bearer {token}")
    assert (answer.status, answer.body) == (200, "reached")
    (reached,) = world.upstream.reached
    assert (reached.method, reached.target) == ("GET", "/v1/orders/7?x=%2e%2e/y")
    told = {name: reached.header(f"x-auth-{name}") for name in ("subject", "method", "permissions", "key-id")}
    assert told == {
        "subject": ["%20user_%C3%A9%20%250D:%201%20"],
        "method": ["jwt"],
        "permissions": ["catalog:read catalog:write"],
        "key-id": [],
    }
    with world.server.client() as client:
        assert [client.get("/openapi.json").json()["x-policy-revision"]] == reached.header("x-auth-revision")
    assert reached.header("x-gateway-secret") == []


def test_a_key_is_allowed(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    issued = _key(world, issuer, "catalog:write")
    world.upstream.reached.clear()
    answer = gateway.ask("DELETE", "/v1/orders/7", Authorization=f"Bearer {issued['plaintext']}")
    assert answer.status == 200
    (reached,) = world.upstream.reached
    assert reached.header("x-auth-method") == ["api_key"]
    assert reached.header("x-auth-subject") == ["user_owner"]
    assert isinstance(issued["api_key"], dict)
    assert reached.header("x-auth-key-id") == [str(issued["api_key"]["id"])]


@pytest.fixture(scope="module")
def app(world: World) -> tuple[str, str]:
    """The id of an app, and a token by which it acts on behalf of a user at the service."""

    async def act(sessions: Sessions) -> tuple[str, str]:
        now = datetime.now(UTC)
        flow = await new_flow(sessions, world.server.env["AUTHZ_DATABASE_URL"])
        held = ("catalog:read",)
        code = await flow.consent("user_ann", scopes=held, permissions=held, resource=SERVICE, now=now)
        return flow.client_id, (await flow.redeem(code, now)).access_token

    return in_database(world.server, act)


def test_the_service_receives_the_app_of_a_user(world: World, gateway: Gateway, app: tuple[str, str]) -> None:
    world.upstream.reached.clear()
    client_id, token = app
    answer = gateway.ask("GET", "/v1/orders/7", Authorization=f"Bearer {token}", X_Auth_Client="app_forged")
    assert answer.status == 200
    (reached,) = world.upstream.reached
    told = {name: reached.header(f"x-auth-{name}") for name in ("subject", "method", "permissions", "key-id", "client")}
    assert told == {
        "subject": ["user_ann"],
        "method": ["oauth"],
        "permissions": ["catalog:read"],
        "key-id": [],
        "client": [client_id],
    }
    denied = gateway.ask("POST", "/v1/orders", Authorization=f"Bearer {token}")
    assert denied.status == 403


def test_the_service_receives_the_organization(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    stated = ["org:org-keys:write", "org:catalog:read"]
    token = issuer.token(sub="user_ann", org_id="partner:org_1", org_permissions=stated)
    with world.server.client(token) as client:
        answer = client.post("/api/v1/orgs/partner:org_1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]})
    assert answer.status_code == 201, answer.text
    for credentials, subject in ((token, "user_ann"), (answer.json()["plaintext"], "org:partner:org_1")):
        world.upstream.reached.clear()
        asked = gateway.ask(
            "GET", "/v1/orders/7", Authorization=f"Bearer {credentials}", X_Auth_Organization="org_forged"
        )
        assert asked.status == 200
        (reached,) = world.upstream.reached
        assert reached.header("x-auth-organization") == ["partner:org_1"]
        assert reached.header("x-auth-subject") == [subject]


def test_no_client_names_an_app_itself(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    world.upstream.reached.clear()
    token = issuer.token(permissions=["catalog:read"])
    answer = gateway.ask(
        "GET", "/v1/orders/7", Authorization=f"Bearer {token}", X_Auth_Client="app_forged", X_Auth_Organization="o"
    )
    assert answer.status == 200
    (reached,) = world.upstream.reached
    assert [value for value in reached.header("x-auth-client") if value] == []
    assert [value for value in reached.header("x-auth-organization") if value] == []


def test_an_anonymous_caller_reaches_public_routes_only(world: World, gateway: Gateway) -> None:
    world.upstream.reached.clear()
    assert gateway.ask("GET", "/v1/public", X_Auth_Subject="user_admin").status == 200
    (reached,) = world.upstream.reached
    assert [value for value in reached.header("x-auth-subject") if value] == []
    assert reached.header("x-auth-method") == ["anonymous"]


@pytest.mark.parametrize(
    ("method", "path", "header", "status", "detail", "challenge"),
    [
        ("GET", "/v1/orders", None, 401, "Authentication credentials were not provided.", "Bearer"),
        ("GET", "/v1/nothing", None, 401, "Authentication credentials were not provided.", "Bearer"),
        ("GET", "/v1/orders", "Bearer x", 401, "Invalid token.", 'error="invalid_token"'),
        ("GET", "/v1/orders", "Bearer grd_live_x", 401, "Malformed API key.", 'error="invalid_token"'),
        ("GET", "/v1/public", "Bearer x", 401, "Invalid token.", 'error="invalid_token"'),
        ("POST", "/v1/orders", "reader", 403, FORBIDDEN, 'scope="catalog:write"'),
        ("PUT", "/v1/orders", "reader", 403, FORBIDDEN, 'error="insufficient_scope"'),
        ("GET", "/v1/admin/users", "reader", 403, FORBIDDEN, 'scope="policies:write"'),
        ("GET", "/v1/nothing", "reader", 403, FORBIDDEN, 'error="insufficient_scope"'),
        ("GET", "/api/v1/teams", "reader", 403, FORBIDDEN, 'error="insufficient_scope"'),
        ("GET", "/v1/public%3F", None, 403, ENCODED, 'error="invalid_request"'),
    ],
)
def test_a_denial_has_the_contracts_body_and_challenge(  # noqa: PLR0917  # the columns of a table
    world: World, gateway: Gateway, issuer: LiveIssuer,
    method: str, path: str, header: str | None, status: int, detail: str, challenge: str,
) -> None:  # fmt: skip
    world.upstream.reached.clear()
    value = f"Bearer {issuer.token(permissions=['catalog:read'])}" if header == "reader" else header
    answer = gateway.ask(method, path, **({"Authorization": value} if value else {}))
    assert answer.status == status
    assert json.loads(answer.body) == {"detail": detail}
    assert answer.headers["content-type"] == "application/json"
    assert challenge in answer.headers["www-authenticate"]
    metadata = f'resource_metadata="{METADATA}{OF_ORDERS if path.startswith("/v1/") and "%" not in path else ""}"'
    assert metadata in answer.headers["www-authenticate"]
    assert not world.upstream.reached


def test_a_condition_reads_the_address_and_path_of_the_client(
    world: World, gateway: Gateway, issuer: LiveIssuer
) -> None:
    token = issuer.token(permissions=["catalog:read"])
    answer = gateway.ask("GET", "/v1/near", Authorization=f"Bearer {token}", X_Forwarded_For="10.0.0.1")
    assert answer.status == 200


def test_a_saved_policy_applies_at_every_gateway(issuer: LiveIssuer, tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = built(stack, tmp_path, issuer, "orders")
        token = issuer.token(permissions=["catalog:read"])

        def statuses() -> set[int]:
            ask = {"Authorization": f"Bearer {token}"}
            return {gateway.ask("GET", "/v1/orders", **ask).status for gateway in world.gateways.values()}

        assert statuses() == {200}
        rows = world.server.policy_dir / "orders.csv"
        moved = rows.read_text().replace("catalog:read, orders:/v1/orders", "holdings:read, orders:/v1/orders")
        rows.write_text(moved)
        assert eventually(lambda: statuses() == {403})


@pytest.fixture(scope="module")
def doors(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a gateway secret, called without a gateway."""
    directory = with_orders(tmp_path_factory.mktemp("doors"))
    with Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, gateway_secrets=SECRET) as server:
        yield server


GOOD = [("X-Original-Method", "GET"), ("X-Original-URI", "/v1/public"), ("X-Gateway-Service", "orders")]
PROOF = ("X-Gateway-Secret", SECRET)


@pytest.mark.parametrize(
    ("path", "headers", "detail"),
    [
        ("/gateway/nginx", GOOD, "The gateway is not authenticated."),
        ("/gateway/nginx", [*GOOD, ("X-Gateway-Secret", SECRET[:-1])], "The gateway is not authenticated."),
        ("/gateway/nginx", [*GOOD, ("X-Gateway-Secret", "")], "The gateway is not authenticated."),
        ("/gateway/nginx", [*GOOD, PROOF, PROOF], "The gateway is not authenticated."),
        ("/gateway/nginx", [*GOOD, ("X_Gateway_Secret", SECRET)], "The gateway is not authenticated."),
        ("/gateway/no-such-gateway", [*GOOD, PROOF], "There is no such gateway profile."),
        ("/gateway/", [*GOOD, PROOF], "There is no such gateway profile."),
        ("/gateway/nginx/", [*GOOD, PROOF], "The path of this endpoint is /gateway/nginx, and nothing after it."),
        ("/gateway/nginx", [PROOF], "nginx must send the header `X-Original-Method`, `X-Original-Uri`."),
        ("/gateway/nginx", [*GOOD[1:], PROOF], "nginx must send the header `X-Original-Method`."),
        ("/gateway/caddy", [*GOOD, PROOF], "caddy does not set the header `X-Original-Method`, `X-Original-Uri`."),
        ("/gateway/nginx", [*GOOD, PROOF, GOOD[1]], "The header `X-Original-Uri` is sent more than once."),
        ("/gateway/nginx", [*GOOD, PROOF, GOOD[2]], "The header `X-Gateway-Service` is sent more than once."),
        (
            "/gateway/nginx",
            [*GOOD, PROOF, ("X_Original_URI", "/v1/public")],
            "The name of a header is similar to `X-Original-Uri`",
        ),
        (
            "/gateway/nginx",
            [*GOOD, PROOF, ("X.Auth.Subject", "x")],
            "The name of a header is similar to `X-Auth-Subject`",
        ),
        ("/gateway/nginx", [*GOOD, PROOF, ("X-Rewrite-Url", "/x")], "nginx does not set the header `X-Rewrite-Url`"),
        ("/gateway/nginx", [*GOOD, PROOF, ("X-HTTP-Method-Override", "PUT")], "nginx does not set the header `X-Http"),
        ("/gateway/nginx", [("X-Original-Method", "get"), *GOOD[1:], PROOF], "The method is not one that a rule can"),
        ("/gateway/nginx", [GOOD[0], ("X-Original-URI", "/v1//public"), GOOD[2], PROOF], "The path has an ambiguous"),
        ("/gateway/nginx", [GOOD[0], ("X-Original-URI", "/v1/public?x#y"), GOOD[2], PROOF], "The URI has a fragme"),
        ("/gateway/nginx", [GOOD[0], ("X-Original-URI", "http://a/v1/public"), GOOD[2], PROOF], "The path has an amb"),
        ("/gateway/envoy", [PROOF], "The path has an ambiguous spelling."),
        ("/gateway/envoy//v1/public", [PROOF], "The path has an ambiguous spelling."),
    ],
)
def test_an_ambiguous_gateway_question_is_denied(
    doors: Server, path: str, headers: list[tuple[str, str]], detail: str
) -> None:
    with doors.client() as client:
        answer = client.get(path, headers=headers)
    assert answer.status_code == 403
    assert answer.json()["detail"].startswith(detail)


def test_an_unambiguous_question_with_the_secret_is_answered(doors: Server) -> None:
    with doors.client() as client:
        assert client.get("/gateway/nginx", headers=[*GOOD, PROOF]).status_code == 200
        for name in ("traefik", "caddy"):
            forwarded = [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/v1/public"), GOOD[2], PROOF]
            assert client.post(f"/gateway/{name}", headers=forwarded).status_code == 200
        assert client.get("/gateway/envoy/v1/public?x=y", headers=[GOOD[2], PROOF]).status_code == 200
        assert client.get("/gateway/envoy/v1/public", headers=[PROOF]).status_code == 401
        assert client.request("PURGE", "/gateway/envoy/v1/public", headers=[GOOD[2], PROOF]).status_code == 403


def test_without_settings_no_gateway_is_trusted(server: Server) -> None:
    with server.client() as client:
        assert client.get("/gateway/nginx", headers=[*GOOD, PROOF]).status_code == 403
        assert server.wait_for_log(lambda entry: "is not authenticated" in str(entry.get("event")))


def test_a_trusted_network_needs_no_secret_but_a_wrong_secret_is_refused(issuer: LiveIssuer, tmp_path: Path) -> None:
    server = Server(
        with_orders(tmp_path), jwks_url=issuer.jwks_url, issuer=issuer.url, gateway_networks="10.0.0.0/8,127.0.0.0/8"
    )
    with server, server.client() as client:
        assert client.get("/gateway/nginx", headers=GOOD).status_code == 200
        assert client.get("/gateway/nginx", headers=[*GOOD, PROOF]).status_code == 403
        assert client.get("/gateway/nginx", headers=[*GOOD, ("X-Forwarded-For", "8.8.8.8")]).status_code == 200
        known = ("Authorization", f"Bearer {issuer.token()}")
        for service, reason in (
            ("nope", "the policy has no service of this name"),
            ("orders", "no route matches it"),
        ):
            headers = [GOOD[0], ("X-Original-URI", "/v1/nowhere"), ("X-Gateway-Service", service), known]
            answer = client.get("/gateway/nginx", headers=headers)
            assert (answer.status_code, answer.headers["x-auth-reason"]) == (403, reason)
    server = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, gateway_networks="10.0.0.0/8")
    with server, server.client() as client:
        answer = client.get("/gateway/nginx", headers=[*GOOD, ("X-Forwarded-For", "10.0.0.1")])
        assert answer.status_code == 403


def test_without_signing_keys_a_gateway_gets_a_denial_with_retry_after(tmp_path: Path) -> None:
    with LiveIssuer() as away:
        away.answer = lambda: (500, b"")
        server = Server(with_orders(tmp_path), jwks_url=away.jwks_url, issuer=away.url, gateway_networks="127.0.0.0/8")
        with server, server.client(away.token(permissions=["catalog:read"])) as client:
            answer = client.get("/gateway/nginx", headers=[GOOD[0], ("X-Original-URI", "/v1/orders"), GOOD[2]])
            assert answer.status_code == 403
            assert answer.json() == {"detail": "Signing keys are unavailable."}
            assert int(answer.headers["retry-after"]) > 0


def test_only_an_allowed_get_opens_a_websocket(world: World, gateway: Gateway, issuer: LiveIssuer) -> None:
    def upgrade(path: str, to: str) -> list[str]:
        world.upstream.reached.clear()
        token = issuer.token(permissions=["catalog:read"])
        lines = [f"GET {path} HTTP/1.1", "Host: o", f"Authorization: Bearer {token}", "Connection: Upgrade"]
        key = ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        gateway.send("\r\n".join([*lines, f"Upgrade: {to}", *key, "", ""]).encode(), 1.0)
        return [value for reached in world.upstream.reached for value in reached.header("upgrade") or ["none"]]

    expected = "websocket" if PROGRAMS[gateway.name].opens_websockets else "none"
    assert upgrade("/v1/orders/7", "websocket") == [expected]
    assert upgrade("/v1/admin/users", "websocket") == []
    assert [value for value in upgrade("/v1/orders/7", "h2c") if value != "none"] == []
