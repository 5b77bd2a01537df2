"""The sign-in of the local issuer over HTTP: strict about redirect URIs, codes and verifiers, as a real issuer."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

import httpx
import jwt
import pytest

from app.dev.codes import Codes, Grant
from app.dev.people import PEOPLE
from app.dev.wire import IssuerError, RelyingParty
from tests.support.issuer import CONSOLE, LiveIssuer

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://127.0.0.1:8000/console/callback"
REQUEST = {
    "response_type": "code",
    "client_id": CONSOLE.id,
    "redirect_uri": REDIRECT,
    "scope": "openid profile email",
    "state": "a state",
    "nonce": "a nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}


@pytest.fixture
def at(issuer: LiveIssuer) -> Iterator[httpx.Client]:
    """A browser at the issuer that follows no redirects."""
    with httpx.Client(base_url=issuer.url) as client:
        yield client


def sign_in(at: httpx.Client, **changed: str) -> dict[str, str]:
    answer = at.post("/authorize", data={**REQUEST, "person": "user_alice", **changed})
    assert answer.status_code == 303, answer.text
    assert answer.headers["location"].startswith(REDIRECT + "?")
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def exchange(at: httpx.Client, code: str, **changed: str) -> httpx.Response:
    sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "client_id": CONSOLE.id}
    return at.post("/token", data={**sent, "code_verifier": VERIFIER, **changed})


def test_the_page_lists_each_user_with_their_permissions(at: httpx.Client) -> None:
    page = at.get("/authorize", params=REQUEST)
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; form-action 'self' http://127.0.0.1:8000; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    safe = {"x-content-type-options": "nosniff", "referrer-policy": "no-referrer", "cache-control": "no-store"}
    assert {name: page.headers[name] for name in safe} == safe
    for person in PEOPLE:
        assert person.name in page.text
        assert all(f"<code>{permission}</code>" in page.text for permission in person.permissions)
    assert "No permissions" in page.text
    assert at.get("/style.css").headers["content-type"] == "text/css; charset=utf-8"


def test_a_sign_in_returns_consistent_tokens(at: httpx.Client, issuer: LiveIssuer) -> None:
    back = sign_in(at)
    assert (back["state"], back["iss"]) == ("a state", issuer.url)
    answer = exchange(at, back["code"])
    assert answer.headers["cache-control"] == "no-store"
    tokens = answer.json()
    key = issuer.key.public_key()
    identity = jwt.decode(tokens["id_token"], key, ["RS256"], audience=CONSOLE.id, issuer=issuer.url)
    access = jwt.decode(tokens["access_token"], key, ["RS256"], audience="griddy-api", issuer=issuer.url)
    assert (identity["nonce"], identity["name"], identity["email"]) == ("a nonce", PEOPLE[0].name, PEOPLE[0].email)
    assert identity["sub"] == access["sub"] == "user_alice"
    assert access["permissions"] == ["catalog:read", "catalog:write"]


def test_the_discovery_document_names_the_served_endpoints(at: httpx.Client, issuer: LiveIssuer) -> None:
    document = at.get("/.well-known/openid-configuration").json()
    assert document["issuer"] == issuer.url
    assert at.get(document["jwks_uri"]).json()["keys"][0]["kid"] == issuer.kid
    assert at.get(document["authorization_endpoint"], params=REQUEST).status_code == 200
    assert at.post(document["token_endpoint"]).status_code == 401
    assert at.get(document["end_session_endpoint"]).status_code == 200
    assert at.get("/anything").status_code == 404


@pytest.mark.parametrize(
    "redirect",
    [
        "http://127.0.0.1:8000/console/other",
        "http://127.0.0.1:8000/console/callback?next=1",
        "http://127.0.0.1:8000/console/callback#x",
        "http://user@127.0.0.1:8000/console/callback",
        "http://127.0.0.1:8000@evil.example/console/callback",
        "https://127.0.0.1:8000/console/callback",
        "http://127.0.0.1.evil.example:80/console/callback",
        "//127.0.0.1:8000/console/callback",
        "http://127.0.0.1:99999/console/callback",
        "javascript:alert(1)",
        "",
    ],
)
def test_only_redirect_uris_of_the_client_are_accepted(at: httpx.Client, redirect: str) -> None:
    for answer in (
        at.get("/authorize", params={**REQUEST, "redirect_uri": redirect}),
        at.post("/authorize", data={**REQUEST, "redirect_uri": redirect, "person": "user_alice"}),
        at.get("/logout", params={"client_id": CONSOLE.id, "post_logout_redirect_uri": redirect or "x"}),
    ):
        assert answer.status_code == 400
        assert "location" not in answer.headers


def test_any_loopback_port_is_accepted(at: httpx.Client) -> None:
    for host in ("127.0.0.1:9", "[::1]:9", "localhost:9"):
        page = at.get("/authorize", params={**REQUEST, "redirect_uri": f"http://{host}/console/callback"})
        assert page.status_code == 200, host
    out = {"client_id": CONSOLE.id, "post_logout_redirect_uri": "http://127.0.0.1:9/console/signed-out", "state": "s"}
    assert at.get("/logout", params=out).headers["location"] == "http://127.0.0.1:9/console/signed-out?state=s"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"prompt": "none"}, "login_required"),
        ({"cancel": "1"}, "access_denied"),
    ],
)
def test_errors_are_returned_to_the_client(at: httpx.Client, changed: dict[str, str], error: str) -> None:
    back = sign_in(at, **changed)
    assert (back["error"], back["state"]) == (error, "a state")
    assert "code" not in back


def test_a_parameter_sent_twice_and_an_unknown_client_or_person_get_no_code(at: httpx.Client) -> None:
    twice = at.get("/authorize", params=[*REQUEST.items(), ("state", "another")])
    client = at.get("/authorize", params={**REQUEST, "client_id": "another"})
    person = at.post("/authorize", data={**REQUEST, "person": "user_eve"})
    assert [answer.status_code for answer in (twice, client, person)] == [400, 400, 400]


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:8001/console/callback"}, "invalid_grant"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"client_id": "another"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_a_code_is_bound_to_its_client_redirect_uri_and_verifier(
    at: httpx.Client, changed: dict[str, str], error: str
) -> None:
    code = sign_in(at)["code"]
    refused = exchange(at, **{"code": code, **changed})
    assert refused.status_code in (400, 401)
    assert refused.json()["error"] == error


def test_a_code_is_used_up_by_its_first_use_even_with_a_wrong_verifier(at: httpx.Client) -> None:
    code = sign_in(at)["code"]
    assert [exchange(at, code).status_code for _ in range(2)] == [200, 400]
    code = sign_in(at)["code"]
    assert exchange(at, code, code_verifier="w" * 43).status_code == 400
    assert exchange(at, code).status_code == 400


def test_a_code_expires_after_a_minute() -> None:
    now = [0.0]
    codes = Codes(lambda: now[0])
    grant = Grant(PEOPLE[0], CONSOLE.id, REDIRECT, CHALLENGE, None, "openid")
    in_time, late = codes.issue(grant), codes.issue(grant)
    now[0] = 59.9
    assert codes.redeem(in_time, VERIFIER) is grant
    now[0] = 60.0
    with pytest.raises(IssuerError, match="older than a minute"):
        codes.redeem(late, VERIFIER)


def test_a_client_with_a_secret_must_send_it(at: httpx.Client, issuer: LiveIssuer) -> None:
    confidential = RelyingParty("with secret", CONSOLE.redirects, secret="s3cret:+ %")
    issuer.provider.clients = [CONSOLE, confidential]

    def status(secret: str | None) -> int:
        code = sign_in(at, client_id=confidential.id)["code"]
        sent = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        if secret is None:
            return at.post("/token", data={**sent, "client_id": confidential.id}).status_code
        return at.post("/token", data=sent, auth=("with+secret", secret)).status_code

    try:
        assert status("s3cret%3A%2B+%25") == 200
        assert status("s3cret") == 401
        assert status(None) == 401
        assert exchange(at, "x", client_id=CONSOLE.id).status_code == 400
    finally:
        issuer.provider.clients = [CONSOLE]


def test_parameters_are_escaped(at: httpx.Client) -> None:
    page = at.get("/authorize", params={**REQUEST, "state": '"><script>alert(1)</script>'}).text
    assert "<script>" not in page
    assert re.search(r'name="state" value="&#34;&gt;&lt;script', page)
