"""A gateway in this process, for a service of `authz dev`: it asks about each request as nginx or Caddy would."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
from litestar.types import ASGIApp

_CREDENTIALS = b"authorization"


class LocalGateway:
    """Asks the application, through its own door for gateways, whether requests for a service may pass."""

    def __init__(self, app: ASGIApp, secret: str, service: str) -> None:
        self._own = [("X-Gateway-Secret", secret), ("X-Gateway-Service", service)]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]  # Litestar's types of ASGI are narrower
        self._http = httpx.AsyncClient(transport=transport, base_url="http://authz")

    async def ask(
        self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]], client: str | None
    ) -> httpx.Response:
        """The answer about a request with these headers: 200 with who is calling, or what the client gets instead."""
        sent = [
            *self._own,
            ("X-Forwarded-Method", method),
            ("X-Forwarded-Uri", path),
            *((("X-Forwarded-For", client),) if client else ()),
            # Repeated ones too: they are refused.
            *(("Authorization", value.decode("latin-1")) for name, value in headers if name == _CREDENTIALS),
        ]
        return await self._http.get("/gateway/caddy", headers=sent)
