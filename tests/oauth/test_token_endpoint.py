"""The endpoints for apps over HTTP: shapes, headers, authentication of apps, and where an access token is accepted."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import quote_plus

import httpx
import pytest

from app.identity.oauth_tokens import mint_token
from tests.oauth.flows import VERIFIER, challenge_of
from tests.oauth.served import ServedApp, new_address
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

TEAMS = "/api/v1/teams"


@pytest.fixture(scope="module")
def public(app_server: Server) -> ServedApp:
    return ServedApp(app_server)


@pytest.fixture(scope="module")
def confidential(app_server: Server) -> ServedApp:
    return ServedApp(app_server, confidential=True)


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()}


def call(server: Server, token: str, path: str = TEAMS) -> tuple[int, str, str]:
    """The status, the detail and the challenge of a request with a bearer token."""
    answer = httpx.get(server.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=20)
    detail = answer.json().get("detail", "") if answer.status_code != 200 else ""
    return answer.status_code, detail, answer.headers.get("www-authenticate", "")


def test_tokens_are_not_stored_and_have_the_shape_of_the_specification(public: ServedApp) -> None:
    answer = public.redeem(public.consent())
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in", "scope", "refresh_token"}
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 900, "catalog:read holdings:read")
    again = public.send(grant_type="refresh_token", refresh_token=body["refresh_token"], scope="catalog:read")
    assert again.json()["scope"] == "catalog:read"
    for line in public.server.written_lines():
        for name in ("access_token", "refresh_token"):
            assert body[name][8:] not in line


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "invalid_request"),
        ({"grant_type": "client_credentials"}, 400, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x", "code_verifier": VERIFIER}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, 400, "invalid_grant"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "app_unknown"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "a\x00b"}, 400, "invalid_request"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": "é" * 600}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x", "client_id": ""}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x" * 17_000}, 400, "invalid_request"),
    ],
)
def test_errors_have_the_shape_of_the_specification(
    public: ServedApp, form: dict[str, str], status: int, error: str
) -> None:
    answer = public.send(**form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"grant_type=a&grant_type=b&client_id=x", "application/x-www-form-urlencoded"),
        (b'{"grant_type": "refresh_token"}', "application/json"),
        (b"\xff\xfe", "application/x-www-form-urlencoded"),
        (b"a=%ff", "application/x-www-form-urlencoded"),
        (b"a=b&" * 40 + b"c=d", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_that_is_no_plain_form_is_refused(app_server: Server, body: bytes, kind: str) -> None:
    answer = httpx.post(f"{app_server.url}/oauth/token", content=body, headers={"Content-Type": kind}, timeout=20)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(("length", "error"), [(16_384, "invalid_grant"), (16_385, "invalid_request")])
def test_a_form_may_have_16_kb(public: ServedApp, length: int, error: str) -> None:
    plain = f"client_id={public.client_id}&grant_type=refresh_token&refresh_token="
    form = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": public.address}
    answer = httpx.post(f"{public.server.url}/oauth/token", content=plain.ljust(length, "x"), headers=form, timeout=20)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_apps_with_a_secret_authenticate_by_header_or_form(confidential: ServedApp) -> None:
    tokens = confidential.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    client_id, secret, url = confidential.client_id, confidential.secret, f"{confidential.server.url}/oauth/token"
    assert secret is not None
    good = basic(client_id, secret)
    assert httpx.post(url, data=form, headers=good).status_code == 200
    assert httpx.post(url, data={**form, "client_id": client_id}, headers=good).status_code == 200
    assert httpx.post(url, data={**form, "client_id": client_id, "client_secret": secret}).status_code == 200
    for headers in (basic(client_id, "wrong"), basic("app_unknown", secret), {"Authorization": "Basic !!!"}):
        answer = httpx.post(url, data=form, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    for data in ({**form, "client_id": client_id}, {**form, "client_id": client_id, "client_secret": "wrong"}):
        answer = httpx.post(url, data=data)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert "www-authenticate" not in answer.headers
    twice = httpx.post(url, data={**form, "client_secret": secret}, headers=good)
    assert (twice.status_code, twice.json()["error"]) == (400, "invalid_request")


def test_a_bearer_token_authenticates_no_app_and_is_not_verified(public: ServedApp, issuer: LiveIssuer) -> None:
    url, form = public.server.url, {"client_id": public.client_id, "grant_type": "refresh_token", "token": "x"}
    tokens = ("x", "a b", "é", "grd_live_0", "a.b.c", mint_token("access"), mint_token("secret"), issuer.token())
    stated = [*(f"Bearer {token}" for token in tokens), "Bearer", "bearer x", "Bearer\tx", "DPoP x", "Digest"]
    sent = [*([each.encode()] for each in stated), [b"Bearer x"] * 2, [b"Basic YTpi", b"Bearer x"]]
    with httpx.Client(base_url=url, timeout=20) as client:
        for path in ("/oauth/par", "/oauth/token", "/oauth/revoke"):
            for values in sent:
                headers = [(b"Authorization", value) for value in values]
                answer = client.post(path, data=form, headers=[*headers, (b"X-Forwarded-For", new_address().encode())])
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), values
                assert set(answer.json()) == {"error", "error_description"}
                assert answer.headers["cache-control"] == "no-store"
                assert "www-authenticate" not in answer.headers


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("https://app.example/\x00", ""),  # PostgreSQL has no NUL in text
        ("https://app.example/\x01.json", ""),
        ("https://app.example/\ufffd", ""),
        ("https://app.example", ""),
        ("https://app.example/../client.json", ""),
        ("https://user@app.example/client.json", ""),
        (f"https://app.example/{'x' * 600}", ""),
        ("https://app.example/client.json", "a secret"),
        ("app\x00", "a secret"),
    ],
    ids=lambda text: repr(text)[:40],
)
def test_a_request_of_an_app_that_cannot_be_is_not_kept(app_server: Server, name: str, secret: str) -> None:
    parameters = {"response_type": "code", "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256"}
    with httpx.Client(headers={"X-Forwarded-For": new_address()}, timeout=20) as client:
        answer = client.post(f"{app_server.url}/oauth/par", data=parameters, headers=basic(name, secret))
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")
        form = {**parameters, "client_id": name, "client_secret": secret}
        answer = client.post(f"{app_server.url}/oauth/par", data=form)
        assert answer.status_code == (400 if "\x00" in name else 401)
        assert "www-authenticate" not in answer.headers


def test_wrong_secrets_of_an_app_have_a_budget(app_server: Server) -> None:
    app = ServedApp(app_server, confidential=True)
    tokens = app.tokens()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answers = [app.send(**form, client_secret="wrong") for _ in range(12)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) > 0
    assert app.send(**form).status_code == 200


def test_scripts_of_any_site_may_call_without_cookies(public: ServedApp) -> None:
    url, origin = public.server.url, {"Origin": "https://other.example"}
    asks = {**origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for path in ("/oauth/par", "/oauth/token", "/oauth/revoke"):
        preflight = httpx.options(url + path, headers=asks)
        assert preflight.status_code == 204
        assert "POST" in preflight.headers["access-control-allow-methods"]
        for answer in (preflight, httpx.post(url + path, data={}, headers=origin)):
            assert answer.headers.get_list("access-control-allow-origin") == ["*"]
            assert "access-control-allow-credentials" not in answer.headers
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"):
        assert httpx.get(url + path, headers=origin).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in httpx.post(f"{url}/oauth/introspect", headers=origin).headers


@pytest.mark.parametrize("kind", ["refresh", "code", "secret"])
def test_other_tokens_of_an_app_open_nothing(public: ServedApp, kind: str) -> None:
    tokens = public.tokens()
    sent = {"refresh": tokens["refresh_token"], "code": public.consent(), "secret": mint_token("secret")}[kind]
    status, detail, challenge = call(public.server, sent)
    assert (status, detail) == (401, "Invalid token.")
    assert 'error="invalid_token"' in challenge


def test_an_access_token_that_is_unknown_or_malformed_is_invalid(public: ServedApp) -> None:
    for token in (mint_token("access"), "grd_oat_", "grd_oat_" + "A" * 48, "grd_oat_" + "0" * 49, "grd_ort_x"):
        assert call(public.server, token)[:2] == (401, "Invalid token.")
    assert call(public.server, "grd_oax_" + "0" * 48)[:2] == (401, "Malformed API key.")


def test_a_token_is_refused_at_another_resource(public: ServedApp) -> None:
    for below, path, status in (
        ("", TEAMS, 200),
        ("/api", TEAMS, 200),
        (TEAMS, TEAMS, 200),
        (TEAMS, f"{TEAMS}/7", 404),
        (TEAMS, "/api/v1/leagues", 401),
        ("/api/v1/team", TEAMS, 401),
        ("/mcp", TEAMS, 401),
    ):
        token = public.tokens(resource=public.server.url + below)["access_token"]
        found, detail, _ = call(public.server, token, path)
        assert (found, detail == "Invalid audience.") == (status, status == 401), (below, path)


def test_a_revoked_token_is_refused_with_the_next_request(public: ServedApp, app_server: Server) -> None:
    other = ServedApp(app_server)
    tokens = public.tokens()
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    assert call(app_server, access)[0] == 200
    foreign = other.send("/oauth/revoke", token=access)
    assert (foreign.status_code, foreign.json()["error"]) == (400, "invalid_grant")
    assert call(app_server, access)[0] == 200
    for _ in range(2):
        assert public.send("/oauth/revoke", token=access, token_type_hint="refresh_token").status_code == 200
        assert call(app_server, access)[:2] == (401, "Token has been revoked.")
    second = public.send(grant_type="refresh_token", refresh_token=refresh).json()
    assert call(app_server, second["access_token"])[0] == 200
    assert public.send("/oauth/revoke", token=second["refresh_token"]).status_code == 200
    assert call(app_server, second["access_token"])[:2] == (401, "Token has been revoked.")
    again = public.send(grant_type="refresh_token", refresh_token=second["refresh_token"])
    assert again.json()["error"] == "invalid_grant"
    for unknown in (mint_token("access"), mint_token("refresh"), "x"):
        assert public.send("/oauth/revoke", token=unknown).status_code == 200
    assert public.send("/oauth/revoke").json()["error"] == "invalid_request"


def test_introspection_knows_the_tokens_of_apps(public: ServedApp, issuer: LiveIssuer) -> None:
    tokens = public.tokens()
    caller = issuer.token(sub="user_service", permissions=["tokens:introspect"])

    def introspect(token: str) -> dict[str, object]:
        with public.server.client(caller) as client:
            found: dict[str, object] = client.post("/oauth/introspect", data={"token": token}).json()
            return found

    active = introspect(tokens["access_token"])
    assert active["active"] is True
    assert (active["sub"], active["client_id"]) == ("user_ann", public.client_id)
    assert (active["aud"], active["iss"], active["token_type"]) == (public.server.url, public.server.url, "Bearer")
    for other in (tokens["refresh_token"], mint_token("access")):
        assert introspect(other) == {"active": False}


def test_metadata(public: ServedApp) -> None:
    url = public.server.url
    found = httpx.get(f"{url}/.well-known/oauth-authorization-server").json()
    assert found["issuer"] == url
    assert found["token_endpoint"] == f"{url}/oauth/token"
    assert found["code_challenge_methods_supported"] == ["S256"]
    assert set(found["token_endpoint_auth_methods_supported"]) == {
        "none",
        "client_secret_basic",
        "client_secret_post",
    }
    assert httpx.get(f"{url}/.well-known/oauth-authorization-server/other").status_code == 404
    resource = httpx.get(f"{url}/.well-known/oauth-protected-resource").json()
    assert resource["resource"] == url
    assert resource["authorization_servers"] == [url]
    assert resource["scopes_supported"] == [], "what no row lets an unregistered app ask for"
    below = httpx.get(f"{url}/.well-known/oauth-protected-resource/api/v1/teams").json()
    assert below["resource"] == f"{url}/api/v1/teams"
    assert httpx.get(f"{url}/.well-known/oauth-protected-resource/a%20b").status_code == 404


def test_without_a_public_address_there_are_no_tokens(console: Server) -> None:
    for path in ("/oauth/token", "/oauth/revoke"):
        answer = httpx.post(console.url + path, data={"client_id": "x"})
        assert (answer.status_code, "AUTHZ_PUBLIC_URL" in answer.text) == (404, True)
    assert httpx.get(f"{console.url}/.well-known/oauth-authorization-server").status_code == 404
