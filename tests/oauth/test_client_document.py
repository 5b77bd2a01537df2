"""What the metadata document of an app may say."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.identity.app_facts import app_facts
from app.oauth.client_document import (
    ClientDocumentRefused,
    DocumentAddress,
    address_of_document,
    is_document_id,
    read_document,
)

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ID = "https://app.example/client.json"
REDIRECT = "https://app.example/cb"


def document(**given: Any) -> bytes:
    stated = {"client_id": ID, "client_name": "Scores", "redirect_uris": [REDIRECT], **given}
    return json.dumps({name: value for name, value in stated.items() if value is not None}).encode()


def refusal(body: bytes) -> str:
    with pytest.raises(ClientDocumentRefused) as refused:
        read_document(ID, body, NOW)
    return str(refused.value)


@pytest.mark.parametrize(
    ("client_id", "address"),
    [
        (ID, DocumentAddress("app.example", 443, "/client.json", "app.example")),
        ("https://app.example/", DocumentAddress("app.example", 443, "/", "app.example")),
        ("https://app.example:443/a?b=c", DocumentAddress("app.example", 443, "/a?b=c", "app.example")),
        ("https://app.example:8443/a", DocumentAddress("app.example", 8443, "/a", "app.example:8443")),
        ("https://192.0.2.1/a", DocumentAddress("192.0.2.1", 443, "/a", "192.0.2.1")),
        ("https://app.example/" + "a" * 480, DocumentAddress("app.example", 443, "/" + "a" * 480, "app.example")),
        ("https://[2001:db8::1]:8443/a", DocumentAddress("[2001:db8::1]", 8443, "/a", "[2001:db8::1]:8443")),
    ],
)
def test_the_address_of_a_document(client_id: str, address: DocumentAddress) -> None:
    assert is_document_id(client_id)
    assert address_of_document(client_id) == address


@pytest.mark.parametrize(
    "client_id",
    [
        "https://app.example",
        "https://app.example?x=/",
        "https://app.example:99999/a",
        "https://APP.example/client.json",
        "https://app.example./client.json",
        "https://user@app.example/client.json",
        "https://user:x@app.example/client.json",
        "https://app.example/client.json#",
        "https://app.example/a/../client.json",
        "https://app.example/%2e%2e/client.json",
        "https://app.example/a b",
        "https://app.example/a\nb",
        "https://app.example/a\\b",
        "https://app.example/a,b",
        "https://app.example/a|b",
        'https://app.example/"',
        "https://app.example/*",
        "https://app.example/\u00e9",
        "https://b\u00fccher.example/client.json",
        "https://app.example/" + "a" * 481,
        "https:///client.json",
        "https://127.1/client.json",
        "https://0x7f000001/client.json",
        "https://2130706433/client.json",
        "http://app.example/client.json",
        "http://localhost/client.json",
        "HTTPS://app.example/client.json",
        "app_1",
        "",
    ],
)
def test_what_is_no_address_of_a_document(client_id: str) -> None:
    with pytest.raises(ClientDocumentRefused, match=r"must be a URL of at most 500 characters with a path"):
        address_of_document(client_id)


def test_a_document_describes_a_public_client() -> None:
    client = read_document(ID, document(client_uri="https://app.example", logo_uri="http://x", scope="a b"), NOW)
    assert (client.client_id, client.kind, client.name, client.host) == (ID, "document", "Scores", "app.example")
    assert (client.redirect_uris, client.confidential, client.enabled) == ((REDIRECT,), False, True)
    assert app_facts(client) == {"auth:oauth", f"app:{ID}", "app-kind:document", "app-host:app.example"}


def test_the_host_is_that_of_the_document_and_not_of_a_redirect() -> None:
    client = read_document(ID, document(redirect_uris=["https://bank.example/cb", "http://127.0.0.1/cb"]), NOW)
    assert client.host == "app.example"


def test_a_document_without_a_name() -> None:
    assert read_document(ID, document(client_name=None), NOW).name == "Unnamed app"


def test_redirects_with_a_scheme_of_the_operating_system_are_left_out() -> None:
    redirects = [REDIRECT, "com.example.app:/cb", "cursor://cb", "javascript:alert(1)", REDIRECT]
    client = read_document(ID, document(redirect_uris=redirects), NOW)
    assert client.redirect_uris == (REDIRECT,)
    assert not client.accepts_redirect("com.example.app:/cb")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"client_id": f"{ID}?"}, "its `client_id` is not its own address"),
        ({"client_id": "https://app.example:443/client.json"}, "its `client_id` is not its own address"),
        ({"client_id": None}, "its `client_id` is not its own address"),
        ({"client_id": [ID]}, "its `client_id` is not its own address"),
        ({"client_secret": "x"}, "it has `client_secret`, but whatever is in it is public"),
        ({"client_secret": "x", "client_secret_expires_at": 0}, "it has `client_secret`, but"),
        ({"client_secret_expires_at": 0}, "it has `client_secret_expires_at`, but whatever is in it is public"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "its `token_endpoint_auth_method` must be `none`"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "its `token_endpoint_auth_method` must be `none`"),
        ({"token_endpoint_auth_method": ["none"]}, "its `token_endpoint_auth_method` must be `none`"),
        ({"grant_types": ["client_credentials"]}, "its `grant_types` does not have `authorization_code`"),
        ({"grant_types": "authorization_code"}, "its `grant_types` is not a list of texts"),
        ({"response_types": ["token"]}, "its `response_types` does not have `code`"),
        ({"redirect_uris": None}, "its `redirect_uris` is not a list of texts"),
        ({"redirect_uris": REDIRECT}, "its `redirect_uris` is not a list of texts"),
        ({"redirect_uris": [REDIRECT, 7]}, "its `redirect_uris` is not a list of texts"),
        ({"redirect_uris": []}, "its `redirect_uris` must have at least one redirect URI"),
        ({"redirect_uris": ["com.example.app:/cb"]}, "its `redirect_uris` must have at least one redirect URI"),
        ({"redirect_uris": [f"{REDIRECT}/{n}" for n in range(21)]}, "its `redirect_uris` must have at most 20"),
        ({"redirect_uris": [REDIRECT, "http://app.example/"]}, "its `redirect_uris` must begin with https://"),
        ({"redirect_uris": [REDIRECT, "/cb"]}, "its `redirect_uris` must be an absolute URI"),
        ({"client_name": "a\u202eb"}, "its `client_name` must be printable"),
        ({"client_name": "x" * 61}, "its `client_name` must have at most 60 characters"),
        ({"client_name": ""}, "its `client_name` must not be blank"),
        ({"client_name": 7}, "its `client_name` is not text"),
    ],
)
def test_a_document_that_describes_no_app(given: dict[str, Any], message: str) -> None:
    assert refusal(document(**given)).startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"client_id": "\xed\xa0\x80"}',
        b"[" * 5_000,
        b'{"a":' * 1_000 + b"1" + b"}" * 1_000,
        b'{"jwks":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
        b"{}{}",
        b"NaN",
        document().decode().encode("utf-16"),
    ],
    ids=range(10),
)
def test_what_is_not_json(body: bytes) -> None:
    assert refusal(body) == "it is not JSON in UTF-8"


@pytest.mark.parametrize("body", [b"[]", b"null", b"7", b'"x"'])
def test_json_that_is_no_object(body: bytes) -> None:
    assert refusal(body) == "it is not a JSON object"


def test_markup_in_a_name_is_text() -> None:
    assert read_document(ID, document(client_name="<b>Scores</b> & co"), NOW).name == "<b>Scores</b> & co"


def test_the_version_changes_with_redirects_and_keys() -> None:
    def version(**given: Any) -> str:
        return read_document(ID, document(**given), NOW).version

    same = {version(), version(client_name="Other"), version(logo_uri="https://app.example/x.png")}
    changed = [
        version(redirect_uris=[REDIRECT, "http://127.0.0.1/cb"]),
        version(jwks_uri="https://app.example/keys"),
        version(jwks={"keys": []}),
        version(jwks={"keys": [{"kty": "RSA"}]}),
    ]
    assert len(same) == 1
    assert len({*same, *changed}) == 5
