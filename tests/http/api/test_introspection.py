"""Token introspection (RFC 7662) and the metadata of the protected resource (RFC 9728)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import AUDIENCE, Server

PATH = "/oauth/introspect"
METADATA = "/.well-known/oauth-protected-resource"
FORM = "application/x-www-form-urlencoded"
INACTIVE = b'{"active":false}'


def _ask(server: Server, caller: str, token: str, **fields: str) -> httpx.Response:
    with server.client(caller) as client:
        return client.post(PATH, data={"token": token, **fields})


def _caller(issuer: LiveIssuer) -> str:
    return issuer.token(sub="user_service", permissions=["tokens:introspect"])


@pytest.fixture
def asking(server: Server, issuer: LiveIssuer) -> httpx.Client:
    return server.client(_caller(issuer))


def _key(server: Server, issuer: LiveIssuer, **body: Any) -> dict[str, Any]:
    token = issuer.token(sub="user_owner", permissions=["catalog:read", "catalog:write", "tokens:introspect"])
    with server.client(token) as client:
        answer = client.post("/api/v1/api-keys", json={"name": "k", **body})
    assert answer.status_code == 201, answer.text
    issued: dict[str, Any] = answer.json()
    return issued


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "nonsense"])
def test_an_active_jwt_states_its_claims_and_permissions(server: Server, issuer: LiveIssuer, hint: str) -> None:
    now = int(time.time())
    token = issuer.token(
        sub="user_a", permissions=["catalog:read", "auth:api_key", "holdings:read"], exp=now + 60, iat=now, jti="j1"
    )
    answer = _ask(server, _caller(issuer), token, token_type_hint=hint)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "active": True,
        "scope": "catalog:read holdings:read",
        "sub": "user_a",
        "client_id": PARTY,
        "token_type": "Bearer",
        "exp": now + 60,
        "iat": now,
        "iss": issuer.url,
        "aud": AUDIENCE,
        "jti": "j1",
    }


@pytest.mark.parametrize(
    ("act", "stated"),
    [
        ({"sub": "support", "iss": "https://i.example", "more": 1}, {"sub": "support", "iss": "https://i.example"}),
        ({"sub": "a", "act": {"sub": "b"}}, {"sub": "a"}),
        ({}, {"sub": "unknown"}),
        ("support", {"sub": "unknown"}),
        (False, {"sub": "unknown"}),
    ],
)
def test_the_party_that_acts_as_the_user_is_stated(
    server: Server, issuer: LiveIssuer, act: object, stated: dict[str, str]
) -> None:
    assert _ask(server, _caller(issuer), issuer.token(act=act)).json()["act"] == stated


NO_SCOPE_TOKENS = [
    "x catalog:write",
    "catalog:write ",
    " catalog:write",
    "catalog:write catalog:write",
    "x\tcatalog:write",
    "x\ncatalog:write",
    "x\u00a0catalog:write",
    "x\u2028catalog:write",
    "catalog:wr\u00efte",
    'x"catalog:write',
    "x\\catalog:write",
    "x\x7fcatalog:write",
    "x\x00catalog:write",
    "",
    " ",
]


def test_a_permission_that_is_no_scope_token_is_left_out_of_the_scope(server: Server, issuer: LiveIssuer) -> None:
    stated = ["catalog:read", "odd!#[]^~:x", *NO_SCOPE_TOKENS]
    token = issuer.token(sub="user_a", permissions=stated)
    assert _ask(server, _caller(issuer), token).json()["scope"] == "catalog:read odd!#[]^~:x"
    for each in NO_SCOPE_TOKENS:
        alone = _ask(server, _caller(issuer), issuer.token(permissions=[each])).json()
        assert alone["active"] is True
        assert alone["scope"] == "", repr(each)
    with server.client(token) as client:
        assert client.get("/api/v1/teams").status_code == 200
        assert client.post("/api/v1/teams", json={}).status_code == 403


def test_an_active_key_states_its_scopes_and_owner(server: Server, issuer: LiveIssuer) -> None:
    issued = _key(server, issuer, scopes=["catalog:write", "catalog:read"], expires_at="2100-01-01T00:00:00Z")
    answer = _ask(server, _caller(issuer), issued["plaintext"])
    assert answer.json() == {
        "active": True,
        "scope": "catalog:read catalog:write",
        "sub": "user_owner",
        "client_id": f"key:{issued['api_key']['id']}",
        "token_type": "Bearer",
        "exp": 4102444800,
    }


def test_a_program_may_introspect_with_a_key(server: Server, issuer: LiveIssuer) -> None:
    asking = _key(server, issuer, scopes=["tokens:introspect"])
    assert _ask(server, asking["plaintext"], issuer.token()).json()["active"] is True


def test_inactive_tokens_have_the_same_answer(server: Server, issuer: LiveIssuer, untrusted_issuer: LiveIssuer) -> None:
    revoked = _key(server, issuer)
    with server.client(issuer.token(sub="user_owner")) as client:
        client.post(f"/api/v1/api-keys/{revoked['api_key']['id']}/revoke").raise_for_status()
    tokens = [
        revoked["plaintext"],
        "grd_live_" + "0" * 48,
        "grd_live_short",
        "grd_",
        "x",
        "a.b.c",
        "\u00e9",
        issuer.token(exp=int(time.time()) - 10),
        issuer.token(aud="another"),
        issuer.token(azp="https://elsewhere.example"),
        issuer.token(algorithm="none"),
        untrusted_issuer.token(),
    ]
    answers = [_ask(server, _caller(issuer), token) for token in tokens]
    assert {answer.content for answer in answers} == {INACTIVE}
    ours = ("x-request-id", "date")
    headers = {tuple((n, v) for n, v in answer.headers.items() if n not in ours) for answer in answers}
    assert len(headers) == 1


@pytest.mark.parametrize(
    ("kind", "content", "status", "detail"),
    [
        ("application/json", "token=a", 415, "The request body must be a form"),
        ("text/plain", "token=a", 415, "The request body must be a form"),
        (FORM, "", 400, "The form must have one `token`."),
        (FORM, "token=", 400, "The form must have one `token`."),
        (FORM, "token=a&token=b", 400, "The form must have one `token`."),
        (FORM, "a=b", 400, "The form must have one `token`."),
        (FORM, "&".join(["a=b"] * 11), 400, "The request body is not a form."),
        (FORM, "token", 400, "The request body is not a form."),
        (FORM, "token=" + "a" * 16_385, 400, "The token is longer than 16384 bytes."),
    ],
)
def test_a_body_must_be_a_form_with_one_token(
    asking: httpx.Client, kind: str, content: str, status: int, detail: str
) -> None:
    with asking as client:
        answer = client.post(PATH, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["detail"].startswith(detail)


def test_a_form_may_have_ten_fields_and_the_longest_token(asking: httpx.Client) -> None:
    with asking as client:
        for content in ("token=" + "a" * 16_384, "token=a&" + "&".join(["a=b"] * 9), "a=&token=a"):
            answer = client.post(PATH, content=content, headers={"Content-Type": FORM})
            assert (answer.status_code, answer.content) == (200, INACTIVE), content[:20]


def test_a_caller_without_the_permission_learns_nothing(server: Server, issuer: LiveIssuer) -> None:
    with server.client() as client:
        assert client.post(PATH, data={"token": "x"}).status_code == 401
    answer = _ask(server, issuer.token(permissions=["catalog:read"]), issuer.token())
    assert answer.status_code == 403
    assert 'scope="tokens:introspect"' in answer.headers["www-authenticate"]


def test_no_token_is_inactive_while_the_issuer_is_unavailable(issuer: LiveIssuer, tmp_path: Path) -> None:
    with LiveIssuer() as away:
        asking = Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url)
        with asking:
            key = _key(asking, issuer, scopes=["tokens:introspect"])["plaintext"]
        # The same database behind an issuer that never answered: a key can be known, a JWT cannot.
        away.answer = lambda: (500, b"")
        with Server(tmp_path, jwks_url=away.jwks_url, issuer=away.url) as server:
            answer = _ask(server, key, away.token())
            assert answer.status_code == 503
            assert answer.json() == {"detail": "Signing keys are unavailable."}
            assert int(answer.headers["retry-after"]) > 0
            assert _ask(server, key, key).json()["active"] is True


def test_introspected_tokens_are_not_logged(own_server: Server, issuer: LiveIssuer) -> None:
    asked = [issuer.token(sub="user_secret"), "grd_live_" + "ab" * 24]
    for token in asked:
        _ask(own_server, _caller(issuer), token)
    log = "\n".join(own_server.written_lines())
    assert PATH in log
    assert not any(token in log for token in asked)


@pytest.fixture(scope="module")
def public(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a public URL."""
    directory = tmp_path_factory.mktemp("public")
    with Server(
        directory, jwks_url=issuer.jwks_url, issuer=issuer.url, public_url="https://authz.griddy.example/"
    ) as server:
        yield server


def test_the_metadata_names_the_issuer_and_every_permission(public: Server, issuer: LiveIssuer) -> None:
    with public.client() as client:
        answer = client.get(METADATA, headers={"Host": "evil.example"})
        assert client.head(METADATA).status_code == 200
    assert answer.status_code == 200
    content = answer.json()
    scopes = content.pop("scopes_supported")
    assert content == {
        "resource": "https://authz.griddy.example",
        "authorization_servers": [issuer.url],
        "bearer_methods_supported": ["header"],
        "resource_name": "Griddy API",
        "resource_documentation": "https://authz.griddy.example/docs",
    }
    assert scopes == sorted(scopes)
    assert {"catalog:read", "holdings:write", "tokens:introspect"} <= set(scopes)


def test_every_challenge_links_to_the_metadata(public: Server, issuer: LiveIssuer) -> None:
    where = f'resource_metadata="https://authz.griddy.example{METADATA}"'
    with public.client() as client:
        assert client.get("/api/v1/teams").headers["www-authenticate"] == f"Bearer {where}"
        bad = client.get("/api/v1/teams", headers={"Authorization": "Bearer x"}).headers["www-authenticate"]
        assert bad == f'Bearer error="invalid_token", error_description="Invalid token.", {where}'
    with public.client(issuer.token()) as client:
        assert client.get("/api/v1/teams").headers["www-authenticate"].endswith(f'scope="catalog:read", {where}')
        beyond = client.post("/api/v1/api-keys", json={"name": "k", "scopes": ["catalog:read"]})
        assert beyond.status_code == 403
        assert beyond.headers["www-authenticate"].endswith(where)


def test_without_a_public_url_there_is_no_metadata_and_no_link(server: Server) -> None:
    with server.client() as client:
        answer = client.get(METADATA)
        assert answer.status_code == 404
        assert "AUTHZ_PUBLIC_URL" in answer.json()["detail"]
        assert client.get("/api/v1/teams").headers["www-authenticate"] == "Bearer"


def test_the_openapi_document_describes_the_form(server: Server) -> None:
    operation = httpx.get(f"{server.url}/openapi.json", timeout=60).json()["paths"][PATH]["post"]
    schema = operation["requestBody"]["content"][FORM]["schema"]
    assert (schema["required"], schema["properties"]["token"]["minLength"]) == (["token"], 1)
