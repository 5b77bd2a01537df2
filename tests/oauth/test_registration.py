"""Apps that register themselves at a server that allows it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from app.oauth.dynamic_clients import UNUSED
from tests.console.browsing import Browser
from tests.console.conftest import server_for_apps
from tests.oauth.asking import answer_of, ask, click, opened
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

REDIRECT = "https://app.example/cb"
LOOPBACK = "http://127.0.0.1/cb"
_addresses = count(1)


@pytest.fixture(scope="module")
def open_server(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server at which apps register themselves and ask for access, behind a proxy that states their addresses."""
    directory = tmp_path_factory.mktemp("open")
    started = server_for_apps(issuer, directory, app_registration="true", trusted_proxies="127.0.0.1")
    file = started.policy_dir / "apps.csv"
    file.write_text(file.read_text().replace("# end", "p, app-kind:dynamic, scope:catalog:read, ask, allow\n# end"))
    with started:
        yield started


def send(server: Server, body: bytes | dict[str, Any], address: str = "", **headers: str) -> httpx.Response:
    """The answer to a registration, each by default from another address."""
    number = next(_addresses)
    stated = {
        "Content-Type": "application/json",
        "X-Forwarded-For": address or f"198.51.{number // 250}.{number % 250 + 1}",
        **headers,
    }
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{server.url}/oauth/register", content=content, headers=stated, timeout=20)


def registered(server: Server, **metadata: Any) -> dict[str, Any]:
    answer = send(server, {"redirect_uris": [REDIRECT], "client_name": "Scores", **metadata})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    return body


def test_bad_credentials_are_refused_in_the_shape_of_the_specification(open_server: Server, issuer: LiveIssuer) -> None:
    order = {"redirect_uris": [REDIRECT]}
    assert send(open_server, order, Authorization=f"Bearer {issuer.token()}").status_code == 201
    for stated, error in (
        ("Bearer x", "invalid_token"),
        ("Bearer", "invalid_request"),
        ("Bearer a b", "invalid_request"),
    ):
        answer = send(open_server, order, Authorization=stated)
        assert (answer.status_code, answer.json()["error"]) == (401, error)
        assert set(answer.json()) == {"error", "error_description"}
        assert answer.headers["cache-control"] == "no-store"
        assert f'error="{error}"' in answer.headers["www-authenticate"]


def test_it_is_off_by_default(app_server: Server) -> None:
    answer = send(app_server, {"redirect_uris": [REDIRECT]})
    assert answer.status_code == 404
    assert answer.json() == {"detail": "Apps cannot register themselves here: an administrator registers them."}
    metadata = httpx.get(f"{app_server.url}/.well-known/oauth-authorization-server").json()
    assert "registration_endpoint" not in metadata


def test_a_public_app_registers_itself(open_server: Server, issuer: LiveIssuer) -> None:
    metadata = httpx.get(f"{open_server.url}/.well-known/oauth-authorization-server").json()
    assert metadata["registration_endpoint"] == f"{open_server.url}/oauth/register"
    body = registered(
        open_server,
        redirect_uris=[LOOPBACK, REDIRECT],
        token_endpoint_auth_method="none",
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        scope="catalog:read",
        client_uri="https://app.example",
        logo_uri="http://127.0.0.1/logo.png",
        jwks={"keys": []},
        unknown={"a": 1},
    )
    client_id, issued_at = body.pop("client_id"), body.pop("client_id_issued_at")
    assert re.fullmatch("app_[0-9a-f]{24}", client_id)
    assert isinstance(issued_at, int)
    assert body == {
        "client_name": "Scores",
        "redirect_uris": [LOOPBACK, REDIRECT],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    }
    with open_server.client(issuer.token(sub="user_admin", permissions=["apps:read", "audit:read"])) as admin:
        (app,) = admin.get("/api/v1/oauth/apps/", params={"client_id": client_id}).json()
        acts = admin.get("/api/v1/admin-actions/", params={"target": f"app:{client_id}"}).json()
    assert (app["kind"], app["host"], app["created_by"], app["is_confidential"]) == ("dynamic", None, "", False)
    assert acts == []  # no administrator did anything


@pytest.mark.parametrize("method", [None, "client_secret_basic", "client_secret_post"])
def test_a_confidential_app_gets_a_secret(open_server: Server, method: str | None) -> None:
    body = registered(open_server, **({"token_endpoint_auth_method": method} if method else {}))
    assert body["token_endpoint_auth_method"] == (method or "client_secret_basic")
    assert body["client_secret_expires_at"] == 0
    secret = body["client_secret"]
    assert re.fullmatch("grd_ocs_[0-9a-f]{48}", secret)
    for file in open_server.directory.glob("authz.db*"):
        assert secret.removeprefix("grd_ocs_").encode() not in file.read_bytes()
    code = {"grant_type": "authorization_code", "code": f"grd_oac_{'0' * 48}", "code_verifier": "v" * 43}
    errors = [
        httpx.post(f"{open_server.url}/oauth/token", data=code, auth=(body["client_id"], given)).json()["error"]
        for given in (secret, f"{secret[:-1]}x")
    ]
    assert errors == ["invalid_grant", "invalid_client"]


def test_a_user_allows_an_app_that_registered_itself(
    open_server: Server, issuer: LiveIssuer, browsers: Callable[[Server], Browser]
) -> None:
    app = ServedApp(open_server)
    body = registered(open_server, redirect_uris=[REDIRECT], token_endpoint_auth_method="none")
    app.client_id, browser = body["client_id"], browsers(open_server)
    page = opened(browser, issuer, ask(browser, app))
    assert "The name is not verified." in page.text
    denied = answer_of(click(browser, page, "deny"))
    assert denied["error"] == "access_denied", "the page named the address, so no other one comes between"
    code = answer_of(click(browser, opened(browser, issuer, ask(browser, app))))["code"]
    tokens = app.redeem(code).json()
    answer = httpx.get(f"{open_server.url}/api/v1/teams", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 200
    with open_server.client(issuer.token(sub="user_admin", permissions=["apps:read"])) as admin:
        (shown,) = admin.get("/api/v1/oauth/apps/", params={"client_id": app.client_id}).json()
    assert (shown["grants"], shown["expires_at"]) == (1, None)


def test_an_app_that_registers_itself_has_no_host(open_server: Server, issuer: LiveIssuer) -> None:
    body = registered(open_server, redirect_uris=["https://bank.example/out?to=https://evil.example"])
    with open_server.client(issuer.token(sub="user_admin", permissions=["apps:read"])) as admin:
        (app,) = admin.get("/api/v1/oauth/apps/", params={"client_id": body["client_id"]}).json()
    assert app["host"] is None
    assert app["expires_at"] > app["created_at"]


def test_an_app_without_a_name_has_none_of_another(open_server: Server) -> None:
    answer = send(open_server, {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"})
    assert answer.json()["client_name"] == "Unnamed app"


REDIRECT_FAULTS: list[dict[str, Any]] = [
    {"redirect_uris": None},
    {"redirect_uris": []},
    {"redirect_uris": ["http://app.example/cb"]},
    {"redirect_uris": ["com.example.app:/cb"]},
    {"redirect_uris": ["javascript:alert(1)"]},
    {"redirect_uris": ["https://app.example/cb#x"]},
    {"redirect_uris": [f"{REDIRECT}/{number}" for number in range(21)]},
    {"redirect_uris": [REDIRECT, REDIRECT]},
]
METADATA_FAULTS: list[dict[str, Any]] = [
    {"redirect_uris": REDIRECT},
    {"redirect_uris": [7]},
    {"client_name": "a\u202eb"},
    {"client_name": "x" * 10_000},
    {"client_name": ""},
    {"client_name": 7},
    {"token_endpoint_auth_method": "private_key_jwt"},
    {"token_endpoint_auth_method": 7},
    {"token_endpoint_auth_method": ["none"]},
    {"grant_types": ["client_credentials"]},
    {"grant_types": []},
    {"grant_types": "authorization_code"},
    {"response_types": ["token"]},
]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        *((each, "invalid_redirect_uri") for each in REDIRECT_FAULTS),
        *((each, "invalid_client_metadata") for each in METADATA_FAULTS),
    ],
    ids=range(len(REDIRECT_FAULTS) + len(METADATA_FAULTS)),
)
def test_invalid_metadata_is_refused_in_the_shape_of_the_specification(
    open_server: Server, given: dict[str, Any], error: str
) -> None:
    stated = {"redirect_uris": [REDIRECT], "client_name": "Scores", **given}
    answer = send(open_server, {name: value for name, value in stated.items() if value is not None})
    assert answer.status_code == 400
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error"] == error
    assert answer.json()["error_description"].isascii()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/json"),
        (b"{", "application/json"),
        (b"[]", "application/json"),
        (b"\xff", "application/json"),
        (b"[" * 10_000, "application/json"),
        (b'{"a":' * 3_000, "application/json"),
        (json.dumps({"redirect_uris": [REDIRECT]}).encode().ljust(16_385), "application/json"),
        (b'{"redirect_uris": ["https://app.example/cb"]}', "text/plain"),
        (b"redirect_uris=https://app.example/cb", "application/x-www-form-urlencoded"),
    ],
    ids=range(9),
)
def test_a_body_that_is_no_metadata(open_server: Server, body: bytes, kind: str) -> None:
    answer = send(open_server, body, **{"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_client_metadata")


def test_metadata_may_have_16_kb(open_server: Server) -> None:
    assert send(open_server, json.dumps({"redirect_uris": [REDIRECT]}).encode().ljust(16_384)).status_code == 201


def test_an_address_has_a_budget(open_server: Server) -> None:
    body = {"redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none"}
    statuses = [send(open_server, body, "203.0.113.1").status_code for _ in range(12)]
    assert statuses == [201] * 10 + [429] * 2
    refused = send(open_server, body, "203.0.113.1")
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["error"] == "temporarily_unavailable"
    assert send(open_server, body, "203.0.113.2").status_code == 201


def test_scripts_of_any_site_may_register(open_server: Server) -> None:
    answer = send(open_server, {"redirect_uris": [REDIRECT]}, Origin="https://site.example")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


def test_it_is_a_post(open_server: Server) -> None:
    assert httpx.get(f"{open_server.url}/oauth/register").status_code == 405
    assert UNUSED.total_seconds() == 86_400
