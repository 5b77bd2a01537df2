"""The issuer's signing keys: fetched aside, kept through an outage for a stated time, looked up without waiting."""

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

    Times are in seconds. The set is fetched every `refresh_seconds`; a key that the issuer no longer
    publishes is dead at the latest `refresh_seconds + 2 * timeout_seconds` after that. While the issuer
    does not answer with a usable document, the last good one is borne for `max_stale_seconds` past its
    refresh; then nothing verifies. A `kid` that is not known causes one fetch in `cooldown_seconds`, however
    many there are, and after a failure there is none for as long. Waiting for a fetch happens in a `span`.
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
    ) -> None:
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
        # The numbers of the latest fetch, and of the one that the keys came with.
        self._begun = self._newest = 0
        self._usable_until = -math.inf
        self._retry_at = -math.inf
        self._search_again_at = -math.inf
        self._last_error: str | None = None
        self._failures = 0
        self._client: httpx.AsyncClient | None = None
        self._fetching: asyncio.Task[None] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._stopped = False

    # What health pages show.

    @property
    def ready(self) -> bool:
        """Whether there are keys to verify with now."""
        return self._published is not None and self._clock() < self._usable_until

    @property
    def age_seconds(self) -> float | None:
        """The age of the keys, None before the first ones."""
        return None if self._published is None else self._clock() - self._fetched_at

    @property
    def last_error(self) -> str | None:
        """Why the latest fetch failed, None when it did not. Names no address and no key material."""
        return self._last_error

    @property
    def fetches(self) -> tuple[int, int]:
        """How many fetches have begun, and how many have failed."""
        return self._begun, self._failures

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The `kid` of each usable key, in the issuer's order."""
        return () if self._published is None else tuple(self._published.by_id)

    @property
    def count(self) -> int:
        """How many different keys are usable."""
        return 0 if self._published is None else self._published.count

    @property
    def ignored(self) -> IgnoredKeys:
        """The keys of the newest document that are not used, with the reasons."""
        return self._ignored

    # Looking up.

    def get(self, kid: str | None) -> Keys | None:
        """The keys, if they are here and not too old. Without a `kid`: the key, if exactly one is published.

        The answer is the same object until the keys are fetched again.
        """
        published = self._published
        if published is None or self._clock() >= self._usable_until:
            return None
        return published.only if kid is None else published.by_id.get(kid)

    async def find(self, kid: str | None) -> Keys | None:
        """As `get`, but fetches when the keys are too old or the `kid` is not among them.

        None: the issuer does not publish it. Raises CannotVerify when there is no usable key set at all.
        """
        begun = self._begun
        if not self.ready:
            if self._fetching is not None or self._clock() >= self._retry_at:
                await self._fetched()
            if not self.ready:
                raise CannotVerify(UNAVAILABLE, math.ceil(max(self._retry_at - self._clock(), 1.0)))
        keys = self.get(kid)
        # A fetch that was under way may have begun before the key was published: then there is one more.
        for _ in range(2):
            if keys is not None or kid is None or self._newest > begun:
                break
            if self._fetching is None:
                now = self._clock()
                if now < self._search_again_at or now < self._retry_at:
                    break
                self._search_again_at = now + self._cooldown
            await self._fetched()
            keys = self.get(kid)
        return keys

    # Keeping fresh.

    async def start(self) -> None:
        """Fetch the keys and keep them fresh until `stop`. A failure is no error: see `ready`, `last_error`."""
        if self._refreshing is not None or self._stopped:
            raise RuntimeError("a key set is started once")
        await self._fetched()
        if not self._stopped:
            self._refreshing = asyncio.create_task(self._keep_fresh(), context=contextvars.Context())

    async def stop(self) -> None:
        """End every fetch. From here on a look-up that would need one is answered with CannotVerify."""
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

    async def _keep_fresh(self) -> None:
        while True:
            failed = self._last_error is not None
            await asyncio.sleep(min(self._cooldown, self._refresh) if failed else self._refresh)
            await self._fetched()

    async def _fetched(self) -> None:
        """Wait for the fetch under way, or for a new one. To cancel a caller leaves the fetch alone."""
        if self._stopped:
            return
        task = self._fetching
        if task is None:
            # A context of its own: the fetch belongs to no request.
            task = self._fetching = asyncio.create_task(self._fetch(), context=contextvars.Context())
            task.add_done_callback(self._forget_fetch)
        with self._span("fetch signing keys"):
            await asyncio.wait((task,))

    def _forget_fetch(self, _: asyncio.Task[None]) -> None:
        self._fetching = None

    async def _fetch(self) -> None:
        self._begun = number = self._begun + 1
        began = self._clock()
        try:
            published = read_key_set(await self._download(), self._max_keys)
        except FetchFailed as error:
            self._failed(str(error))
        except DocumentRefused as error:
            self._ignore(error.ignored)
            if self._published is not None and any(
                error.revealed.has(modulus) for _, modulus in self._published.numbers
            ):
                # Anyone can sign with such a key: none of the last good document is used until there is another.
                self._published = None
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001  # whatever it is, it must not end the refresh
            _log.exception("Fetching the signing keys failed in an unforeseen way")
            self._failed(f"unforeseen: {type(error).__name__}")
        else:
            if self._last_error is not None:
                _log.info("The signing keys are here again")
            self._ignore(published.ignored)
            self._published = published
            self._newest = number
            self._fetched_at = began
            self._usable_until = began + self._refresh + 2 * self._timeout
            self._retry_at = -math.inf
            self._last_error = None

    def _ignore(self, ignored: IgnoredKeys) -> None:
        """Log what is ignored when that has changed."""
        if ignored.texts and ignored != self._ignored:
            _log.warning("Signing keys are ignored: %s", "; ".join(ignored.texts))
        self._ignored = ignored

    def _failed(self, reason: str) -> None:
        """Keep the keys until the next try is over, but never past the age at which they are too old."""
        now = self._clock()
        if reason != self._last_error:
            _log.warning("The signing keys could not be fetched: %s", reason)
        self._last_error = reason
        self._failures += 1
        self._retry_at = now + self._cooldown
        if self._published is None:
            return
        too_old = self._fetched_at + self._refresh + self._max_stale
        next_try_over = now + self._cooldown + 2 * self._timeout
        self._usable_until = min(too_old, max(self._usable_until, next_try_over))

    async def _download(self) -> bytes:
        if self._client is None:
            self._client = new_client()
        status, body = await fetch(self._client, self._url, seconds=self._timeout, max_bytes=self._max_bytes)
        if status != 200:
            raise FetchFailed(f"the answer has status {status}")
        return body
