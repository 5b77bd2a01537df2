"""What the local issuer is asked and what it answers, in plain values, for whichever server carries them."""

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
    """A request that cannot be granted: the `code` of RFC 6749 sections 4.1.2.1 and 5.2, and a text for a person."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Client:
    """A program that may ask people to sign in here; without a secret it proves itself by PKCE alone."""

    id: str
    redirects: tuple[str, ...]
    after_sign_out: tuple[str, ...] = ()
    secret: str | None = field(default=None, repr=False)

    def proves_itself(self, secret: str | None) -> bool:
        """Whether this is the client's secret."""
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
    """An answer."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def tell(status: int, content: Mapping[str, object], *headers: tuple[str, str]) -> Reply:
    """A JSON answer."""
    return Reply(status, (("Content-Type", "application/json"), *headers), json.dumps(content).encode())


def to(address: str) -> Reply:
    """Send a browser on; its next request is a GET."""
    return Reply(303, (("Location", address), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")), b"")


def html(status: int, text: str, send_to: str | None = None) -> Reply:
    """A page. Its form may end at `send_to`, and nothing is loaded from anywhere else."""
    url = urlsplit(send_to or "")
    ends = f" {url.scheme}://{url.netloc}" if url.netloc else ""
    policy = f"default-src 'none'; style-src 'self'; form-action 'self'{ends}; base-uri 'none'; frame-ancestors 'none'"
    headers = (
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", policy),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
    )
    return Reply(status, headers, text.encode())


def only_once(encoded: str) -> dict[str, str]:
    """Parameters, none of which may be sent twice (RFC 6749 section 3.1). An empty one counts as left out."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=True, errors="strict") if encoded else []
    except ValueError:
        raise IssuerError("invalid_request", "The parameters cannot be read.") from None
    sent = dict(pairs)
    if len(sent) != len(pairs):
        raise IssuerError("invalid_request", "A parameter was sent twice.")
    return {name: value for name, value in sent.items() if value}


def basic_or_body(authorization: str | None, sent: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The id and secret of a client: both in the header (RFC 6749 section 2.3.1), or the id alone in the body."""
    if authorization is None:
        return sent.get("client_id"), None
    scheme, _, credentials = authorization.partition(" ")
    try:
        client_id, _, secret = b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (NotBase64, ValueError):
        scheme = ""
    if scheme.lower() != "basic":
        raise IssuerError("invalid_client", "The client did not prove itself.")
    return unquote_plus(client_id), unquote_plus(secret)


async def read(scope: HTTPScope, receive: Receive) -> IssuerRequest:
    """The request of an ASGI scope, up to 64 KB of its body."""
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
    """Send an answer over ASGI."""
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body, "more_body": False})
