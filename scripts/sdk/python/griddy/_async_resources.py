"""Resources and API keys of the asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, Literal, Protocol, cast

import httpx

from ._errors import content_of
from ._pages import page_of_keys, page_of_rows
from ._resources import API_KEYS, GRACE_SECONDS, Body, Patch, Row
from .models import IssuedKey, KeyView, RotatedKey


class AsyncSender(Protocol):
    """Sends requests, with their retries."""

    async def send(self, method: str, path: str, *, json: Any = None) -> httpx.Response:
        """Returns a response that is a success. Raises GriddyError."""


class AsyncResource(Generic[Row, Body, Patch]):
    """The rows of a table at a path such as `/api/v1/teams/`."""

    def __init__(self, sender: AsyncSender, path: str) -> None:
        self._sender = sender
        self._path = path

    async def list(self) -> AsyncIterator[Row]:
        """All rows by ascending id, page by page."""
        path: str | None = self._path
        while path:
            page = page_of_rows(await self._sender.send("GET", path), self._path)
            for row in page.rows:
                yield row
            path = page.following

    async def create(self, body: Body) -> Row:
        """Create a row."""
        return cast(Row, content_of(await self._sender.send("POST", self._path, json=body)))

    async def retrieve(self, row_id: int) -> Row:
        """A row by its id."""
        return cast(Row, content_of(await self._sender.send("GET", f"{self._path}{int(row_id)}/")))

    async def replace(self, row_id: int, body: Body) -> Row:
        """Replace all fields of a row."""
        return cast(Row, content_of(await self._sender.send("PUT", f"{self._path}{int(row_id)}/", json=body)))

    async def change(self, row_id: int, patch: Patch) -> Row:
        """Change some fields of a row."""
        return cast(Row, content_of(await self._sender.send("PATCH", f"{self._path}{int(row_id)}/", json=patch)))

    async def delete(self, row_id: int) -> None:
        """Delete a row."""
        await self._sender.send("DELETE", f"{self._path}{int(row_id)}/")


class AsyncApiKeys:
    """The API keys of the signed-in user: no key manages keys."""

    def __init__(self, sender: AsyncSender) -> None:
        self._sender = sender

    async def issue(
        self,
        name: str,
        scopes: Sequence[str] = (),
        *,
        environment: Literal["live", "test"] = "live",
        expires_at: str | None = None,
    ) -> IssuedKey:
        """Issue a key. Store its `plaintext`: no other response has it. `expires_at` is ISO 8601 with an offset."""
        body = {"name": name, "scopes": [*scopes], "environment": environment, "expires_at": expires_at}
        return cast(IssuedKey, content_of(await self._sender.send("POST", API_KEYS, json=body)))

    async def list(self) -> AsyncIterator[KeyView]:
        """All keys, newest first, page by page."""
        path: str | None = API_KEYS
        while path:
            page = page_of_keys(await self._sender.send("GET", path), API_KEYS)
            for key in page.rows:
                yield key
            path = page.following

    async def retrieve(self, key_id: int) -> KeyView:
        """A key by its id."""
        return cast(KeyView, content_of(await self._sender.send("GET", f"{API_KEYS}{int(key_id)}/")))

    async def revoke(self, key_id: int) -> KeyView:
        """Revoke a key. The next request with it is refused; revoking again changes nothing."""
        return cast(KeyView, content_of(await self._sender.send("POST", f"{API_KEYS}{int(key_id)}/revoke/")))

    async def rotate(self, key_id: int, *, grace_seconds: int = GRACE_SECONDS) -> RotatedKey:
        """Issue a successor of a key, which itself is accepted for `grace_seconds` more. Store its `plaintext`."""
        body = {"grace_seconds": grace_seconds}
        return cast(
            RotatedKey, content_of(await self._sender.send("POST", f"{API_KEYS}{int(key_id)}/rotate/", json=body))
        )
