"""The door: every matched route is decided, for both kinds of token, and for each method and spelling."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server

ALL = sorted(tomllib.loads((ROOT / "policies/permissions.toml").read_text()))
METHODS = ("get", "head", "post", "put", "patch", "delete")


def operations(server: Server) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of the OpenAPI document, and the HEAD of each GET, with a concrete path."""
    document = httpx.get(f"{server.url}/openapi.json", timeout=60).json()
    for path, item in document["paths"].items():
        for method in METHODS:
            if operation := item.get("get" if method == "head" else method):
                concrete = "/".join("999999" if part.startswith("{") else part for part in path.split("/"))
                yield method.upper(), concrete, operation


def key_for(server: Server, issuer: LiveIssuer, scopes: list[str]) -> str:
    with server.client(issuer.token(permissions=scopes)) as client:
        plaintext: str = client.post("/api/v1/api-keys/", json={"name": "all", "scopes": scopes}).json()["plaintext"]
        return plaintext


def test_both_kinds_of_token_reach_every_operation_that_needs_permissions(server: Server, issuer: LiveIssuer) -> None:
    # A member of the organization in each path.
    jwt, key = issuer.token(permissions=ALL, org_id="999999"), key_for(server, issuer, ALL)
    seen = 0
    for method, path, operation in operations(server):
        needs = operation["x-needs"]
        people_only = bool(needs) and all("auth:jwt" in alternative for alternative in needs)
        for token, allowed in ((jwt, True), (key, not people_only)):
            answer = httpx.request(method, server.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20)
            assert (answer.status_code not in (401, 403)) is allowed, f"{method} {path} {answer.text}"
        seen += 1
    assert seen > 100


@pytest.mark.parametrize(("domain", "other"), [("catalog", "holdings"), ("holdings", "catalog")])
def test_permissions_of_one_domain_never_open_the_other(
    server: Server, issuer: LiveIssuer, domain: str, other: str
) -> None:
    held = [f"{domain}:read", f"{domain}:write"]
    for token in (issuer.token(permissions=held), key_for(server, issuer, held)):
        opened, shut = 0, 0
        for method, path, operation in operations(server):
            needs = {grant for alternative in operation["x-needs"] for grant in alternative}
            answer = httpx.request(method, server.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20)
            if needs & {f"{other}:read", f"{other}:write"}:
                assert answer.status_code == 403, f"{method} {path}"
                shut += 1
            elif needs & set(held):
                assert answer.status_code != 403, f"{method} {path}"
                opened += 1
        assert min(opened, shut) > 20


def test_read_does_not_write_and_write_does_not_read(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=["catalog:read"])) as reader:
        assert reader.get("/api/v1/leagues/").status_code == 200
        assert reader.post("/api/v1/leagues/", json={}).status_code == 403
    with server.client(issuer.token(permissions=["catalog:write"])) as writer:
        assert writer.get("/api/v1/leagues/").status_code == 403
        assert writer.post("/api/v1/leagues/", json={}).status_code == 400


NONE = ["", "catalog:*", "*"]
CLAIMS: dict[str, tuple[Any, bool]] = {
    "list": (["catalog:read"], True),
    "string": ("catalog:read", True),
    "string of several": ("holdings:read catalog:read", True),
    "null": (None, False),
    "number": (7, False),
    "true": (True, False),
    "dict": ({"catalog:read": True}, False),
    "nested list": ([["catalog:read"]], False),
    "list with a number": (["catalog:read", 7], False),
    "empty list": ([], False),
    "empty string": ("", False),
    "star": ("*", False),
    "star of the resource": (["catalog:*"], False),
    "reserved facts": (
        ["anyone", "auth:jwt", "role:admin", "role:viewer", "user:user_admin", "env:live", "key:1"],
        False,
    ),
    "scopes of a key": (["scope::catalog:read", "owner::catalog:read", "owner::user:user_admin"], False),
    "Cyrillic look-alike": (["c\u0430talog:read"], False),
    "full-width colon": (["catalog\uff1aread"], False),
    "upper case": (["Catalog:Read"], False),
    "trailing space": (["catalog:read "], False),
    "no-break space between": ("holdings:read\u00a0catalog:read", False),
    "tab between": ("holdings:read\tcatalog:read", False),
    "comma between": ("holdings:read,catalog:read", False),
}


@pytest.mark.parametrize("name", CLAIMS)
def test_permissions_are_literal(server: Server, issuer: LiveIssuer, name: str) -> None:
    claim, opens = CLAIMS[name]
    with server.client(issuer.token(permissions=claim)) as client:
        assert client.get("/api/v1/teams/").status_code == (200 if opens else 403)


def test_a_token_with_a_hundred_thousand_permissions_is_too_long(server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=[f"catalog:{number}" for number in range(100_000)])
    answer = httpx.get(f"{server.url}/api/v1/teams/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code in (400, 401, 431)


def test_head_has_the_verdict_of_get(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=["catalog:read"])) as client:
        answer = client.head("/api/v1/teams/")
        assert answer.status_code == 200
        assert answer.content == b""
        assert client.head("/api/v1/sources/").status_code == 403
    assert httpx.head(f"{server.url}/api/v1/teams/").status_code == 401


def test_options_needs_a_row(own_server: Server) -> None:
    assert httpx.options(f"{own_server.url}/api/v1/teams/").status_code == 204
    public = own_server.policy_dir / "public.csv"
    public.write_text(public.read_text().replace("p, anyone, /**, OPTIONS", "p, auth:jwt, /**, OPTIONS"))
    own_server.wait_for_log(lambda entry: entry.get("event") == "policy swapped")
    assert httpx.options(f"{own_server.url}/api/v1/teams/").status_code == 401


def test_public_pages_need_a_row(own_server: Server) -> None:
    with own_server.client() as client:
        for path in ("/healthz", "/readyz", "/docs", "/docs/style.css", "/openapi.json"):
            assert client.get(path).status_code == 200
        public = own_server.policy_dir / "public.csv"
        public.write_text(public.read_text().replace("p, anyone, /docs,", "p, policies:read, /docs,"))
        own_server.wait_for_log(lambda entry: entry.get("event") == "policy swapped")
        assert client.get("/docs").status_code == 401
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/docs"])
def test_bad_credentials_are_refused_even_on_public_pages(server: Server, path: str) -> None:
    assert httpx.get(server.url + path, headers={"Authorization": "Bearer grd_no"}).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "//api/v1/teams/",
        "/api/v1/teams//",
        "/api/v1/teams;x=1/",
        "/api/v1/%74eams/",
        "/api//v1/teams/1",
        "/api/v1/teams/%31",
    ],
)
def test_an_ambiguous_path_is_refused_before_authentication(server: Server, path: str) -> None:
    answer = httpx.get(server.url + path)
    assert answer.status_code in (400, 404)
    assert set(answer.json()) == {"detail"}
