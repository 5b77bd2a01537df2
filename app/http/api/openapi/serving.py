"""The document as it is served: created for the first request, and again for the first under each policy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import MediaType, Response

from app.http.api.openapi.document import ApiInfo, Assemble, base_document
from app.http.api.openapi.page import render
from app.http.api.openapi.requirements import with_requirements
from app.http.wire.handlers import get_or_head
from app.oauth.server import AuthorizationServer
from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import paused_gc, release_memory
from app.services import AnyRequest, services_of


@dataclass(frozen=True, slots=True)
class ServedDocument:
    """The document under the policy of a revision, as JSON and as a page."""

    revision: str
    json: bytes
    page: bytes


class OpenApiDocument:
    """The document of a process under its active policy.

    `server` gives tokens to third-party apps, if there is one.
    """

    def __init__(
        self,
        live: LivePolicy,
        assemble: Assemble,
        info: ApiInfo,
        server: AuthorizationServer | None,
    ) -> None:
        self._live = live
        self._assemble = assemble
        self._info = info
        self._server = server
        self._base: bytes | None = None  # encoded, because its objects would take ten times as much memory
        self._served: ServedDocument | None = None
        self._lock = asyncio.Lock()

    async def current(self) -> ServedDocument:
        """The document under the active policy. Creates it in a thread, in half a second, if it is not there yet."""
        served = self._served
        if served is not None and served.revision == self._live.active.revision:
            return served
        async with self._lock:
            served, active = self._served, self._live.active
            if served is None or served.revision != active.revision:
                # The event loop waits for the thread as briefly as for one that builds a policy.
                with paused_gc():
                    served = self._served = await asyncio.to_thread(self._create, active)
        return served

    def _create(self, snapshot: Snapshot) -> ServedDocument:
        if self._base is None:
            self._base = msgspec.json.encode(base_document(self._assemble, self._info))
            release_memory()
        base: dict[str, Any] = msgspec.json.decode(self._base)
        document = with_requirements(base, snapshot, self._server)
        return ServedDocument(snapshot.revision, msgspec.json.encode(document), render(document, self._info.last))


@get_or_head("/openapi.json", include_in_schema=False)
async def openapi_json(request: AnyRequest) -> Response[bytes]:
    """The OpenAPI document."""
    served = await services_of(request.app).documents.current()
    return Response(served.json, media_type=MediaType.JSON, headers={"Cache-Control": "no-cache"})
