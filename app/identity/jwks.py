"""The issuer's signing keys: fetched in a background task, and kept for a limited time while the issuer is down."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Self

import httpx

from app.identity.errors import CannotVerify
from app.identity.fetch import FetchFailed, fetch, new_client
from app.identity.jwk import MAX_KEYS, DocumentRefused, IgnoredKeys, Keys, PublishedKeys, read_key_set

UNAVAILABLE = "Signing keys are unavailable."
_log = logging.getLogger(__name__)


class KeySet:
    """The keys at one JWKS address (RFC 7517 section 5), for RS256.

    The set is fetched every `refresh_seconds`. A key that the issuer no longer publishes is accepted for at most
    `refresh_seconds + 2 * timeout_seconds` more. While the issuer returns no usable document, the last one is used
    until it is `refresh_seconds + max_stale_seconds` old; after that no token can be verified. Unknown `kid`s together
    cause at most one fetch in `cooldown_seconds`, and after a failed fetch there is none for that time. `clock` is
    monotonic, in seconds. `span` makes the tracing span in which callers wait for a fetch. `owner` names the issuer in
    the log.
    """

    def __init__(
        self,
        url: str,
        *,
        refresh_seconds: float = 300.0,
        max_stale_seconds: float = 3600.0,
        cooldown_seconds: float = 10.0,
        timeout_seconds: float = 5.0,
        max_bytes: int = 256 * 1024,
        max_keys: int = MAX_KEYS,
        clock: Callable[[], float] = time.monotonic,
        span: Callable[[str], AbstractContextManager[object]] = nullcontext,
        owner: str = "",
    ) -> None:
        self._of = f" of {owner}" if owner else ""
        self._url = url
        self._refresh = refresh_seconds
        self._max_stale = max_stale_seconds
        self._cooldown = cooldown_seconds
        self._timeout = timeout_seconds
        self._max_bytes = max_bytes
        self._max_keys = max_keys
        self._clock = clock
        self._span = span
        self._published: PublishedKeys | None = None
        self._ignored = IgnoredKeys()
        self._fetched_at = -math.inf
        # The number of the latest fetch, and that of the fetch that returned the current keys.
        self._last_fetch = self._published_fetch = 0
        self._usable_until = -math.inf
        self._retry_at = -math.inf
        self._search_again_at = -math.inf
        self._last_error: str | None = None
        self._failures = 0
        self._client: httpx.AsyncClient | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._stopped = False

    # State, for health checks and metrics.

    @property
    def ready(self) -> bool:
        """Whether there are keys that may be used now."""
        return self._published is not None and self._clock() < self._usable_until

    @property
    def age_seconds(self) -> float | None:
        """The age of the keys; None before the first successful fetch."""
        return None if self._published is None else self._clock() - self._fetched_at

    @property
    def last_error(self) -> str | None:
        """Why the latest fetch failed; None if it succeeded. Contains no address and no key material."""
        return self._last_error

    @property
    def fetches(self) -> tuple[int, int]:
        """How many fetches were started, and how many failed."""
        return self._last_fetch, self._failures

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The `kid` of each usable key, in the issuer's order."""
        return () if self._published is None else tuple(self._published.by_id)

    @property
    def count(self) -> int:
        """The number of usable keys."""
        return 0 if self._published is None else self._published.count

    @property
    def ignored(self) -> IgnoredKeys:
        """The keys of the latest document that are not used, with the reasons."""
        return self._ignored

    # Look-ups.

    def get(self, kid: str | None) -> Keys | None:
        """The keys with a `kid`, or without a `kid` the only key; None if there are none or they are too old.

        Returns the same object until the keys are fetched again.
        """
        published = self._published
        if published is None or self._clock() >= self._usable_until:
            return None
        return published.only if kid is None else published.by_id.get(kid)

    async def find(self, kid: str | None) -> Keys | None:
        """Like `get`, but fetches the keys if they are too old or do not include the `kid`.

        None means that the issuer does not publish the key. Raises CannotVerify if there is no usable key set.
        """
        last_fetch = self._last_fetch
        if not self.ready:
            if self._fetching is not None or self._clock() >= self._retry_at:
                await self._wait_for_fetch()
            if not self.ready:
                raise CannotVerify(UNAVAILABLE, math.ceil(max(self._retry_at - self._clock(), 1.0)))
        keys = self.get(kid)
        # A fetch that was already running may have started before the key was published: then fetch once more.
        for _ in range(2):
            if keys is not None or kid is None or self._published_fetch > last_fetch:
                break
            if self._fetching is None:
                now = self._clock()
                if now < self._search_again_at or now < self._retry_at:
                    break
                self._search_again_at = now + self._cooldown
            await self._wait_for_fetch()
            keys = self.get(kid)
        return keys

    # Refresh.

    async def start(self) -> None:
        """Fetch the keys and refresh them until `stop`. A failed fetch does not raise: see `ready`, `last_error`."""
        if self._refreshing is not None or self._stopped:
            raise RuntimeError("a key set can be started only once")
        await self._wait_for_fetch()
        if not self._stopped:
            self._refreshing = asyncio.create_task(self._refresh_regularly(), context=contextvars.Context())

    async def stop(self) -> None:
        """Cancel all fetches. Afterwards a look-up that needs one raises CannotVerify."""
        self._stopped = True
        tasks = [task for task in (self._refreshing, self._fetching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _refresh_regularly(self) -> None:
        while True:
            failed = self._last_error is not None
            await asyncio.sleep(min(self._cooldown, self._refresh) if failed else self._refresh)
            await self._wait_for_fetch()

    async def _wait_for_fetch(self) -> None:
        """Wait for the running fetch, or start one. Cancelling a caller does not cancel the fetch."""
        if self._stopped:
            return
        task = self._fetching
        if task is None:
            # An empty context: the fetch belongs to no request.
            task = self._fetching = asyncio.create_task(self._fetch(), context=contextvars.Context())
            task.add_done_callback(self._clear_fetch)
        with self._span("fetch signing keys"):
            await asyncio.wait((task,))

    def _clear_fetch(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        self._last_fetch = number = self._last_fetch + 1
        started_at = self._clock()
        try:
            published = read_key_set(await self._download(), self._max_keys)
        except FetchFailed as error:
            self._record_failure(str(error))
        except DocumentRefused as error:
            self._set_ignored(error.ignored)
            if self._published is not None and any(
                error.revealed.has(modulus) for _, modulus in self._published.numbers
            ):
                # Anyone can sign with such a key, so the keys are discarded until there is a usable document.
                self._published = None
            self._record_failure(str(error))
        except Exception as error:  # noqa: BLE001  # an unexpected error must not end the refresh
            _log.exception("Fetching the signing keys%s failed with an unexpected error", self._of)
            self._record_failure(f"unexpected error: {type(error).__name__}")
        else:
            if self._last_error is not None:
                _log.info("The signing keys%s are available again", self._of)
            self._set_ignored(published.ignored)
            self._published = published
            self._published_fetch = number
            self._fetched_at = started_at
            self._usable_until = started_at + self._refresh + 2 * self._timeout
            self._retry_at = -math.inf
            self._last_error = None

    def _set_ignored(self, ignored: IgnoredKeys) -> None:
        """Store the ignored keys, and log them if they have changed."""
        if ignored.texts and ignored != self._ignored:
            _log.warning("Signing keys%s are ignored: %s", self._of, "; ".join(ignored.texts))
        self._ignored = ignored

    def _record_failure(self, reason: str) -> None:
        """Keep the keys until the next fetch is over, but at most until they are too old."""
        now = self._clock()
        if reason != self._last_error:
            _log.warning("The signing keys%s could not be fetched: %s", self._of, reason)
        self._last_error = reason
        self._failures += 1
        self._retry_at = now + self._cooldown
        if self._published is None:
            return
        too_old = self._fetched_at + self._refresh + self._max_stale
        next_fetch_over = now + self._cooldown + 2 * self._timeout
        self._usable_until = min(too_old, max(self._usable_until, next_fetch_over))

    async def _download(self) -> bytes:
        if self._client is None:
            self._client = new_client()
        status, body = await fetch(self._client, self._url, seconds=self._timeout, max_bytes=self._max_bytes)
        if status != 200:
            raise FetchFailed(f"the answer has status {status}")
        return body
