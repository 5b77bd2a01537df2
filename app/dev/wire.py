"""Requests and responses of the local issuer, independent of the server."""

from __future__ import annotations

import hmac
import json
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from litestar.types import HTTPScope, Receive, Send

_MAX_BODY = 64 * 1024


class IssuerError(Exception):
    """A refused request: an error code of RFC 6749 sections 4.1.2.1 and 5.2, and a message for developers."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """A registered client. One without a secret is public and depends on PKCE."""

    id: str
    redirects: tuple[str, ...]
    after_sign_out: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)

    def is_secret(self, secret: str | None) -> bool:
        """Whether this is the secret of the client."""
        if self.secret is None:
            return secret is None
        return secret is not None and hmac.compare_digest(secret.encode(), self.secret.encode())


@dataclass(frozen=True, slots=True)
class IssuerRequest:
    """A request: `query` and `body` are form-encoded."""

    method: str
    path: str
    query: str = ""
    body: str = ""
    authorization: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A response."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def json_reply(status: int, content: Mapping[str, object], *headers: tuple[str, str]) -> Reply:
    """A response with JSON."""
    return Reply(status, (("Content-Type", "application/json"), *headers), json.dumps(content).encode())


def redirect_to(url: str) -> Reply:
    """A redirect, which the browser follows with a GET."""
    return Reply(303, (("Location", url), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")), b"")


def html(status: int, text: str, send_to: str | None = None) -> Reply:
    """A page, which loads only its own style sheet. Submitting its form may redirect to `send_to`."""
    url = urlsplit(send_to or "")
    target = f" {url.scheme}://{url.netloc}" if url.netloc else ""
    policy = (
        f"default-src 'none'; style-src 'self'; form-action 'self'{target}; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    )
    return Reply(status, headers, text.encode())


def parse_parameters(encoded: str) -> dict[str, str]:
    """Parse form-encoded parameters. An empty one is omitted. Raises IssuerError if one is repeated (RFC 6749 section
    3.1).
    """
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=True, errors="strict") if encoded else []
    except ValueError:
        raise IssuerError("invalid_request", "The parameters cannot be read.") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise IssuerError("invalid_request", "A parameter is repeated.")
    return {name: value for name, value in parameters.items() if value}


def read_client_credentials(authorization: str | None, parameters: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The id and secret of a client, from the header (RFC 6749 section 2.3.1), or only the id from the body."""
    if authorization is None:
        return parameters.get("client_id"), None
    scheme, _, credentials = authorization.partition(" ")
    try:
        client_id, _, secret = b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (NotBase64, ValueError):
        scheme = ""
    if scheme.lower() != "basic":
        raise IssuerError("invalid_client", "The client is not authenticated.")
    return unquote_plus(client_id), unquote_plus(secret)


async def read(scope: HTTPScope, receive: Receive) -> IssuerRequest:
    """Read a request over ASGI, with up to 64 KB of its body."""
    body = b""
    more = True
    while more and len(body) <= _MAX_BODY:
        message = await receive()
        body += message.get("body", b"")  # type: ignore[operator]  # every message of a request has bytes there
        more = bool(message.get("more_body", False))
    authorization = next((value for name, value in scope["headers"] if name == b"authorization"), None)
    return IssuerRequest(
        scope["method"],
        scope["path"],
        scope["query_string"].decode("latin-1"),
        body[:_MAX_BODY].decode("latin-1"),
        authorization.decode("latin-1") if authorization is not None else None,
    )


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a response over ASGI."""
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
