"""The bytes of a request, read as leniently as any server might, into what ASGI passes on."""

from __future__ import annotations

from scripts.fuzz.application import Question

_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}


def read_request(data: bytes) -> Question | None:
    """The question in these bytes; None where no server would pass anything on."""
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    parts = first.split(b" ")
    # Both servers refuse a method that is no token, and a target with white space.
    if len(parts) != 3 or not parts[0].isalpha() or not parts[0].isupper() or not parts[1].startswith(b"/"):
        return None
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or not name.isascii() or not name.decode().isprintable() or b"\0" in value:
            return None
        if b"\n" in value or b"\r" in value or b" " in name:
            return None
        headers.append((name.lower(), value.strip(b" \t")))
    return Question(parts[0].decode(), parts[1], headers, _pieces(body))


def _pieces(body: bytes) -> list[bytes]:
    """The body as it may arrive: a form feed divides it."""
    return [piece for piece in body.split(b"\x0c") if piece] or [b""]


def write_request(method: str, target: str, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: api.griddy.example", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
