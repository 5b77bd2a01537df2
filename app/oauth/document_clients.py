"""The clients that documents describe, cached for as long as each document allows."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil

import structlog

from app.identity.budget import Budget, BudgetSpent
from app.oauth.client import Client
from app.oauth.client_document import ClientDocumentRefused, address_of_document, read_document
from app.oauth.document_fetch import SECONDS, DocumentFetch, DocumentHostSlow, DocumentNotFetched

MAX_CACHED = 1_000  # documents of a process, each with at most 5 KB
FETCHES_PER_MINUTE = 20  # of one user
SLOW_FETCHES = 5  # as many fetches a slow one counts, so that one user takes few threads
MAX_FETCHES_OF_USER = 2  # at once
_log = structlog.stdlib.get_logger("oauth")


@dataclass(frozen=True, slots=True)
class _CachedClient:
    client: Client
    until: float


class DocumentClients:
    """Finds clients by the URL of their document. Only a signed-in user can cause a fetch, and few at once.

    Requests for one document share a fetch, and errors are not cached. `clock` is monotonic, in seconds.
    """

    def __init__(
        self,
        fetch: DocumentFetch,
        *,
        max_cached: int = MAX_CACHED,
        fetches_per_minute: int = FETCHES_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._max_cached = max_cached
        self._clock = clock
        self._budget = Budget(fetches_per_minute, clock=clock)
        self._cached: OrderedDict[str, _CachedClient] = OrderedDict()  # least recently used first
        self._fetching: dict[str, asyncio.Task[Client]] = {}
        self._fetching_for: Counter[str] = Counter()  # users

    def __len__(self) -> int:
        return len(self._cached)

    async def find(self, client_id: str, user: str) -> Client:
        """The client with this id, for a signed-in user.

        Raises ClientDocumentRefused with the reason, and BudgetSpent for a user who causes too many fetches.
        """
        cached = self._cached.get(client_id)
        if cached is not None and self._clock() < cached.until:
            self._cached.move_to_end(client_id)
            return cached.client
        task = self._fetching.get(client_id)
        if task is None:
            address_of_document(client_id)
            if self._fetching_for[user] >= MAX_FETCHES_OF_USER:
                raise BudgetSpent(ceil(SECONDS))
            if wait := self._budget.spend(user):
                raise BudgetSpent(wait)
            # A new context, and a task of its own: it does not belong to a single request, which may be cancelled.
            task = asyncio.create_task(self._renew(client_id, user), context=contextvars.Context())
            self._fetching[client_id] = task
            self._fetching_for[user] += 1
            task.add_done_callback(lambda done: self._end(client_id, user, done))
        return await asyncio.shield(task)

    async def _renew(self, client_id: str, user: str) -> Client:
        try:
            found = await self._fetch.fetch(address_of_document(client_id))
            client = read_document(client_id, found.body, datetime.now(UTC))
        except (DocumentNotFetched, ClientDocumentRefused) as error:
            if isinstance(error, DocumentHostSlow):
                for _ in range(SLOW_FETCHES - 1):
                    self._budget.spend(user)
            _log.info("the document of an app is not accepted", client_id=client_id, reason=str(error))
            raise ClientDocumentRefused(str(error)) from None
        self._cached[client_id] = _CachedClient(client, self._clock() + found.age_seconds)
        self._cached.move_to_end(client_id)
        while len(self._cached) > self._max_cached:
            self._cached.popitem(last=False)
        return client

    def _end(self, client_id: str, user: str, task: asyncio.Task[Client]) -> None:
        del self._fetching[client_id]
        self._fetching_for[user] -= 1
        if not self._fetching_for[user]:
            del self._fetching_for[user]
        if not task.cancelled():
            task.exception()  # also if no request waits for it any more
