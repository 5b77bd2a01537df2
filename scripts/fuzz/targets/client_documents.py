"""Metadata of apps: documents at the URL of a client id, and what apps that register themselves send (RFC 7591)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis.strategies import SearchStrategy

from app.identity.app_facts import app_facts
from app.oauth.client_document import ClientDocumentRefused, read_document
from app.oauth.dynamic_clients import read_metadata
from app.oauth.errors import ErrorCode, OAuthError
from app.oauth.names import MAX_CHARACTERS
from app.oauth.redirects import MAX_REDIRECTS
from scripts.fuzz.mutations import mutated, mutated_json
from scripts.fuzz.target import Check, Target, Violation

_MOST = 20_000  # bytes, more than a document or a registration may have
_NOW = datetime(2026, 11, 29, tzinfo=UTC)
_ID = "https://app.example/client.json"
_BASE: dict[str, Any] = {"client_id": _ID, "client_name": "Scores", "redirect_uris": ["https://app.example/cb"]}
_DOCUMENTS: tuple[dict[str, Any], ...] = (
    _BASE,
    {**_BASE, "redirect_uris": ["http://127.0.0.1/cb", "http://[::1]:8080/cb", "com.example.app:/cb"]},
    {**_BASE, "grant_types": ["authorization_code"], "response_types": ["code"], "jwks": {"keys": [{"kty": "RSA"}]}},
    {**_BASE, "token_endpoint_auth_method": "none", "jwks_uri": "https://app.example/keys", "client_name": "Bücher"},
)
EXAMPLES = tuple(json.dumps(each).encode() for each in _DOCUMENTS)
_WORDS = (
    *(
        b'"client_secret":"x"',
        b'"client_name":',
        b'"redirect_uris":',
        b"https://",
        b"http://127.0.0.1/",
        b"javascript:",
    ),
    *(b"@evil.example", b"\\u202e", b"\\u0000", b"\\ud800", b"<script>", b"#", b"/../", b"%00", b" ", b"\xef\xbb\xbf"),
)
_FIELDS = (
    *("client_id", "client_name", "redirect_uris", "grant_types", "response_types", "token_endpoint_auth_method"),
    *("client_secret", "client_secret_expires_at", "jwks", "jwks_uri", "logo_uri", "scope"),
)
# Of an app that no administrator registered.
_REDIRECT = re.compile(
    r"https://[a-z0-9\[][^\s@\\#]*|http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]{1,5})?([/?][^\s\\#]*)?"
)


@contextmanager
def _opened() -> Iterator[Check]:
    yield check


def check(data: bytes) -> None:
    """Read the metadata as a document and as a registration."""
    _check_document(data)
    _check_registration(data)


def _check_document(data: bytes) -> None:
    try:
        client = read_document(_ID, data, _NOW)
    except ClientDocumentRefused as refused:
        _check_message(str(refused))
        return
    if client.client_id != _ID or client.confidential or client.host != client.site != "app.example":
        raise Violation(f"another app: {client}")
    _check_app(client.name, client.redirect_uris)
    if app_facts(client) != {"auth:oauth", f"app:{_ID}", "app-kind:document", "app-host:app.example"}:
        raise Violation(f"other facts: {app_facts(client)}")


def _check_registration(data: bytes) -> None:
    try:
        metadata = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(metadata, dict):
        return
    try:
        requested = read_metadata(metadata)
    except OAuthError as refused:
        if refused.code not in get_args(ErrorCode) or not refused.description.isascii():
            raise Violation(f"{refused.code}: {refused.description[:300]!r}") from None
        _check_message(refused.description)
        return
    _check_app(requested.name, requested.redirect_uris)


def _check_message(message: str) -> None:
    if not 0 < len(message) <= 2_000 or not message.isprintable():
        raise Violation(f"no message, a very long one, or one with controls: {message[:300]!r}")


def _check_app(name: str, redirect_uris: Sequence[str]) -> None:
    if not 0 < len(name) <= MAX_CHARACTERS or not name.isprintable() or name != name.strip():
        raise Violation(f"a name that a page cannot show: {name[:300]!r}")
    if not 0 < len(redirect_uris) <= MAX_REDIRECTS:
        raise Violation(f"{len(redirect_uris)} redirects")
    if wrong := [uri for uri in redirect_uris if not _REDIRECT.fullmatch(uri)]:
        raise Violation(f"a redirect to {wrong[0][:300]!r}")


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    return mutated_json(_DOCUMENTS, _FIELDS) | mutated([*EXAMPLES, *seeds], _WORDS, most=_MOST)


TARGET = Target("client_documents", EXAMPLES, _inputs, _opened)
