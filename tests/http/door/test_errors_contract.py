"""Every row of the wire's error table, over HTTP, against a real server and a real key set."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server

TEAMS = "/api/v1/teams/"


def get(server: Server, *headers: tuple[str, str], path: str = TEAMS) -> httpx.Response:
    return httpx.get(server.url + path, headers=list(headers), timeout=20)


def bearer(token: str) -> tuple[str, str]:
    return ("Authorization", f"Bearer {token}")


def assert_refused(answer: httpx.Response, status: int, detail: str, error: str | None) -> None:
    assert answer.status_code == status
    assert answer.json() == {"detail": detail}
    assert answer.headers["content-type"] == "application/json"
    challenge = answer.headers["www-authenticate"]
    if error is None:
        assert challenge == "Bearer"
    else:
        assert challenge == f'Bearer error="{error}", error_description="{detail}"'


@pytest.mark.parametrize("headers", [[], [("Authorization", "Basic dTpw")], [("Authorization", "Token abc")]])
def test_without_credentials_the_challenge_is_bare(server: Server, headers: list[tuple[str, str]]) -> None:
    assert_refused(get(server, *headers), 401, "Authentication credentials were not provided.", None)


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ([("Authorization", "Bearer")], "Invalid Authorization header: no credentials provided."),
        ([("Authorization", "bearer")], "Invalid Authorization header: no credentials provided."),
        ([bearer("a b")], "Invalid Authorization header: token must not contain spaces."),
        ([bearer("a"), bearer("a")], "Invalid Authorization header: sent more than once."),
    ],
)
def test_a_malformed_header_is_refused(server: Server, headers: list[tuple[str, str]], detail: str) -> None:
    assert_refused(get(server, *headers), 401, detail, "invalid_request")


def test_each_fault_of_a_jwt_has_its_detail(server: Server, issuer: LiveIssuer, untrusted_issuer: LiveIssuer) -> None:
    now = int(time.time())
    faulty = {
        "Token has expired.": [issuer.token(exp=now - 6), issuer.token(exp=now - 86400)],
        "Token is not valid yet.": [issuer.token(nbf=now + 30), issuer.token(nbf=now + 3600)],
        "Invalid audience.": [issuer.token(aud="another"), issuer.token(aud=["another"]), issuer.token(aud=None)],
        "Invalid issuer.": [issuer.token(iss="https://elsewhere.example")],
        "Invalid signature.": [untrusted_issuer.token(), untrusted_issuer.token(kid=issuer.kid)],
        "Invalid signing algorithm.": [
            issuer.token(algorithm="none"),
            issuer.token(algorithm="HS256"),
            issuer.token(algorithm="PS256"),
        ],
        "Invalid token.": [
            "abc",
            "a.b.c",
            issuer.token(sub=None),
            issuer.token(exp=None),
            issuer.token(exp=now * 1000),
            issuer.token(cnf={"jkt": "x"}),
            issuer.token(sts="pending"),
            issuer.token(iss=None),
            issuer.token(sub=7),
            issuer.token(exp="soon"),
            issuer.token() + "=",
            "e" * 17_000,
        ],
    }
    for detail, tokens in faulty.items():
        for token in tokens:
            assert_refused(get(server, bearer(token)), 401, detail, "invalid_token")


def test_an_authorized_party_must_be_present_and_known(server: Server, issuer: LiveIssuer) -> None:
    for token in (issuer.token(azp=None), issuer.token(azp="https://evil.example"), issuer.token(azp=["x"])):
        assert_refused(get(server, bearer(token)), 401, "Invalid authorized party.", "invalid_token")


@pytest.mark.parametrize(
    "key",
    [
        "grd_",
        "grd_live_",
        "grd_live_" + "a" * 47,
        "grd_live_" + "a" * 49,
        "grd_live_" + "A" * 48,
        "grd_prod_" + "a" * 48,
        "grd_live_" + "g" * 48,
        "grd_eyJhbGciOiJSUzI1NiJ9.e30.x",
        "grd_" + "a" * 9000,
        "grd_" + "a" * 17_000,
    ],
)
def test_a_key_of_the_wrong_shape_is_malformed(server: Server, key: str) -> None:
    assert_refused(get(server, bearer(key)), 401, "Malformed API key.", "invalid_token")


def test_an_unknown_key_is_invalid(server: Server) -> None:
    assert_refused(get(server, bearer("grd_live_" + "a" * 48)), 401, "Invalid API key.", "invalid_token")


def test_a_denial_names_the_missing_permissions(server: Server, issuer: LiveIssuer) -> None:
    answer = get(server, bearer(issuer.token(permissions=["catalog:read"])), path="/api/v1/sources/")
    assert answer.status_code == 403
    assert answer.json() == {"detail": "Token is missing one or more required permissions."}
    assert answer.headers["www-authenticate"] == (
        'Bearer error="insufficient_scope", '
        'error_description="Token is missing one or more required permissions.", scope="holdings:read"'
    )


def test_an_unknown_path_is_404_and_a_wrong_method_405_for_everyone(server: Server, issuer: LiveIssuer) -> None:
    for headers in ([], [bearer(issuer.token(permissions=[]))], [bearer("nonsense")]):
        assert get(server, *headers, path="/api/v1/nowhere/").status_code == 404
        assert httpx.delete(server.url + TEAMS, headers=list(headers)).status_code == 405


def test_an_anonymous_caller_learns_nothing_about_a_body(server: Server) -> None:
    answer = httpx.post(server.url + TEAMS, content=b"{not json", headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


def test_an_invalid_body_has_its_errors_by_field(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=["catalog:write"])) as client:
        answer = client.post("/api/v1/leagues/", json={"name": 7, "colour": "red"})
    assert answer.status_code == 400
    body = answer.json()
    assert set(body) == {"detail", "errors"}
    assert {"name", "colour"} <= {error["field"] for error in body["errors"]}


def test_errors_of_a_policy_change_are_in_the_order_of_its_fields(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=["policies:write"])) as client:
        for name, body, fields in (
            ("publish", {"files": None}, ["files", "parent", "message"]),
            ("rollback", {"files": None}, ["revision", "parent", "files"]),
        ):
            answer = client.post(f"/api/v1/policies/{name}/", json=body)
            assert answer.status_code == 400
            assert [error["field"] for error in answer.json()["errors"]] == fields


@pytest.mark.parametrize(
    ("status", "request_parts"),
    [
        (404, ("GET", "/api/v1/teams/999999/", None, "application/json")),
        (405, ("PUT", "/api/v1/teams/", b"{}", "application/json")),
        (415, ("POST", "/api/v1/leagues/", b"name=x", "application/x-www-form-urlencoded")),
        (413, ("POST", "/api/v1/leagues/", b'{"name":"' + b"x" * 2_000_000 + b'"}', "application/json")),
        (400, ("POST", "/api/v1/leagues/", b"{", "application/json")),
        (400, ("GET", "/api/v1//teams/", None, "application/json")),
        (400, ("GET", "/api/v1/%74eams/", None, "application/json")),
    ],
)
def test_every_error_has_a_detail(
    server: Server, issuer: LiveIssuer, status: int, request_parts: tuple[str, str, bytes | None, str]
) -> None:
    method, path, content, kind = request_parts
    token = issuer.token(permissions=["catalog:read", "catalog:write"])
    headers = [bearer(token), ("Content-Type", kind)]
    answer = httpx.request(method, server.url + path, content=content, headers=headers)
    assert answer.status_code == status
    assert isinstance(answer.json()["detail"], str)
    assert answer.headers["x-request-id"]
