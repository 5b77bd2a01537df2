"""The metadata document of an app, at the URL that is its client id (draft-ietf-oauth-client-id-metadata-document)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from app.identity.app_facts import client_id_fault
from app.oauth.app_order import faults_of
from app.oauth.client import Client, client_host, client_version
from app.oauth.clients import MAX_ID_CHARACTERS
from app.oauth.names import UNNAMED
from app.oauth.redirects import redirect_fault, web_address

_SCHEME = "https://"
_WEB = ("https:", "http:")
# Only as RFC 7591 has them: a document is public, so nothing in it can be a secret.
_SECRETS = ("client_secret", "client_secret_expires_at")
_KEYS = ("jwks", "jwks_uri")


class ClientDocumentRefused(Exception):
    """The document does not describe an app. The message is for its developer."""


@dataclass(frozen=True, slots=True)
class DocumentAddress:
    """Where a document is. `host` is as in a URL, `target` the path with the query, `authority` the host and port."""

    host: str
    port: int
    target: str
    authority: str


def is_document_id(client_id: str) -> bool:
    """Whether a client id is a URL, so that no stored app but only a document can have it."""
    return client_id.startswith(_SCHEME)


def address_of_document(client_id: str) -> DocumentAddress:
    """The address of the document with this client id. Raises ClientDocumentRefused."""
    found = web_address(client_id) if len(client_id) <= MAX_ID_CHARACTERS else None
    fault = client_id_fault(client_id) or redirect_fault(client_id, private_schemes=False)
    if found is None or fault or not is_document_id(client_id) or not found.rest.startswith("/"):
        raise ClientDocumentRefused(
            f"the client id must be a URL of at most {MAX_ID_CHARACTERS} characters with a path, such as "
            "https://app.example/client.json: in lower case up to its path, without a user or a fragment, and without "
            "parts of the path that are `.` or `..`"
        )
    port = found.port or 443
    return DocumentAddress(found.host, port, found.rest, found.host if port == 443 else f"{found.host}:{port}")


def read_document(client_id: str, body: bytes, now: datetime) -> Client:
    """The client that a document describes. Raises ClientDocumentRefused.

    Redirects with a scheme of the operating system are left out, since any app on a device can take them.
    """
    document = _object(body)
    if document.get("client_id") != client_id:
        raise ClientDocumentRefused("its `client_id` is not its own address")
    if given := [name for name in _SECRETS if name in document]:
        raise ClientDocumentRefused(f"it has `{given[0]}`, but whatever is in it is public")
    if document.get("token_endpoint_auth_method", "none") != "none":
        raise ClientDocumentRefused("its `token_endpoint_auth_method` must be `none`: it authenticates by PKCE alone")
    _require_listed(document, "grant_types", "authorization_code")
    _require_listed(document, "response_types", "code")
    redirects = _texts(document, "redirect_uris")
    uris = tuple(dict.fromkeys(uri for uri in redirects if uri.startswith(_WEB) or ":" not in uri))
    name = document.get("client_name", UNNAMED)
    if not isinstance(name, str):
        raise ClientDocumentRefused("its `client_name` is not text")
    if faults := faults_of(name, uris, by_administrator=False):
        raise ClientDocumentRefused("; ".join(f"its `{_field(each.field)}` {each.message}" for each in faults))
    return Client(
        client_id=client_id,
        kind="document",
        name=name,
        host=client_host(client_id, "document", uris),
        redirect_uris=uris,
        version=client_version(uris, {key: document[key] for key in _KEYS if key in document}),
        created_at=now,
        changed_at=now,
    )


def _field(field: str) -> str:
    """The field of a document with a fault of an app, which may name one redirect by its number."""
    return "client_name" if field == "name" else field.partition(".")[0]


def _object(body: bytes) -> Mapping[str, object]:
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ClientDocumentRefused("it is not JSON in UTF-8") from None
    if not isinstance(document, dict):
        raise ClientDocumentRefused("it is not a JSON object")
    return document


def _texts(document: Mapping[str, object], field: str) -> list[str]:
    values = document.get(field)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ClientDocumentRefused(f"its `{field}` is not a list of texts")
    return values


def _require_listed(document: Mapping[str, object], field: str, needed: str) -> None:
    if field in document and needed not in _texts(document, field):
        raise ClientDocumentRefused(f"its `{field}` does not have `{needed}`")
