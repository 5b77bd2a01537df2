"""A host on this machine that serves the document of an app over TLS, with any answer."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from app.oauth.document_fetch import DocumentFetch
from app.oauth.public_address import Address
from tests.support.certificate import Certificate, make

HOST = "app.example"
REDIRECT = "https://app.example/cb"
LOOPBACK = ip_address("127.0.0.1")


@dataclass
class DocumentHost:
    """A host with given answers, which records the names and the heads of the requests that it received.

    `pause` is waited before each byte of an answer; `addresses` are those of each look-up of its name in turn, the last
    of them for all that follow.
    """

    certificate: Certificate
    url: str = ""
    answer: bytes = b""
    pause: float = 0.0
    names: list[str | None] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    addresses: list[Sequence[Address]] = field(default_factory=lambda: [[LOOPBACK]])
    lookups: list[tuple[str, int]] = field(default_factory=list)

    def serve(self, body: bytes | dict[str, Any], *headers: str, status: str = "200 OK", length: bool = True) -> None:
        """Answer with this body, and a JSON content type unless a header states another."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status}", *headers]
        if not any(header.lower().startswith("content-type:") for header in headers):
            lines.append("Content-Type: application/json")
        if length:
            lines.append(f"Content-Length: {len(content)}")
        self.answer = "\r\n".join((*lines, "", "")).encode() + content

    def document(self, **given: Any) -> dict[str, Any]:
        """The document of its app, with other fields."""
        return {"client_id": self.url, "client_name": "Scores", "redirect_uris": [REDIRECT], **given}

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        """The addresses of any name."""
        self.lookups.append((host, port))
        return self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]

    def fetch(self, **given: Any) -> DocumentFetch:
        """A fetch that resolves its name to it, and trusts its certificate and every address of this machine."""
        settings: dict[str, Any] = {
            "resolve": self.resolve,
            "trusted": lambda address: address.is_loopback,
            "tls": self.certificate.trusted,
            **given,
        }
        return DocumentFetch(**settings)


@asynccontextmanager
async def document_host(directory: Path, hosts: Sequence[str] = (HOST,)) -> AsyncIterator[DocumentHost]:
    """Start a host with a certificate for these names."""
    certificate = make(directory, "-".join(hosts), hosts=hosts)
    started = DocumentHost(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.sni_callback = lambda _socket, name, _context: started.names.append(name)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            started.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if not started.pause:
                writer.write(started.answer)
            for byte in started.answer if started.pause else b"":
                await asyncio.sleep(started.pause)
                writer.write(bytes([byte]))
                await writer.drain()
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone away
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    started.url = f"https://{HOST}:{server.sockets[0].getsockname()[1]}/client.json"
    started.serve(started.document())
    async with server:
        yield started
