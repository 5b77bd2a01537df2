"""Resources and API keys of the asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, Literal, Protocol, cast

import httpx

from ._address import segment
from ._pages import ReadPage, cursor_page, linked_page, object_of
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

    def list(self) -> AsyncIterator[Row]:
        """All rows by ascending id, page by page."""
        return _rows(self._sender, self._path, cursor_page)

    async def create(self, body: Body) -> Row:
        """Create a row."""
        return cast(Row, object_of(await self._sender.send("POST", self._path, json=body)))

    async def retrieve(self, row_id: int) -> Row:
        """A row by its id."""
        return cast(Row, object_of(await self._sender.send("GET", f"{self._path}{segment(row_id)}/")))

    async def replace(self, row_id: int, body: Body) -> Row:
        """Replace all fields of a row."""
        return cast(Row, object_of(await self._sender.send("PUT", f"{self._path}{segment(row_id)}/", json=body)))

    async def change(self, row_id: int, patch: Patch) -> Row:
        """Change some fields of a row."""
        return cast(Row, object_of(await self._sender.send("PATCH", f"{self._path}{segment(row_id)}/", json=patch)))

    async def delete(self, row_id: int) -> None:
        """Delete a row."""
        await self._sender.send("DELETE", f"{self._path}{segment(row_id)}/")


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
        return cast(IssuedKey, object_of(await self._sender.send("POST", API_KEYS, json=body)))

    def list(self) -> AsyncIterator[KeyView]:
        """All keys, newest first, page by page."""
        return _rows(self._sender, API_KEYS, linked_page)

    async def retrieve(self, key_id: int) -> KeyView:
        """A key by its id."""
        return cast(KeyView, object_of(await self._sender.send("GET", f"{API_KEYS}{segment(key_id)}/")))

    async def revoke(self, key_id: int) -> KeyView:
        """Revoke a key. The next request with it is refused; revoking again changes nothing."""
        return cast(KeyView, object_of(await self._sender.send("POST", f"{API_KEYS}{segment(key_id)}/revoke/")))

    async def rotate(self, key_id: int, *, grace_seconds: int = GRACE_SECONDS) -> RotatedKey:
        """Issue a successor of a key, which itself is accepted for `grace_seconds` more. Store its `plaintext`."""
        body = {"grace_seconds": grace_seconds}
        return cast(
            RotatedKey, object_of(await self._sender.send("POST", f"{API_KEYS}{segment(key_id)}/rotate/", json=body))
        )


async def _rows(sender: AsyncSender, path: str, read: ReadPage) -> AsyncIterator[Any]:
    following: str | None = path
    while following:
        page = read(await sender.send("GET", following), path)
        for row in page.rows:
            yield row
        following = page.following
