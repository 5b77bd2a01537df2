"""The trusted issuers of a process, each with its signing keys, which are refreshed in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Self

from app.identity.issuer import TrustedIssuer
from app.identity.jwks import KeySet
from app.identity.jwt import IssuerVerifier


class IssuerRegistry:
    """Takes issuers in and out while requests run. Issuers with the same address of their keys share a key set.

    `new_key_set` makes the key set of an issuer. `on_change` is called with the verifiers of all issuers whenever they
    differ, before the key sets of removed issuers stop. `now` returns the time in seconds since 1970.
    """

    def __init__(
        self,
        new_key_set: Callable[[TrustedIssuer], KeySet],
        on_change: Callable[[Iterable[IssuerVerifier]], None],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._new_key_set = new_key_set
        self._on_change = on_change
        self._now = now
        self._is_running = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._key_sets: dict[str, KeySet] = {}  # by address
        self.verifiers: tuple[IssuerVerifier, ...] = ()

    def replace(self, issuers: Iterable[TrustedIssuer]) -> None:
        """Trust these issuers instead of those before. Each has its own `iss`."""
        wanted = tuple(issuers)
        if wanted == tuple(each.issuer for each in self.verifiers):
            return
        before, self._key_sets = self._key_sets, {}
        for issuer in wanted:
            url = issuer.jwks_url
            if url not in self._key_sets:
                self._key_sets[url] = before.get(url) or self._new_key_set(issuer)
        prefixes = tuple(issuer.subject_prefix for issuer in wanted if issuer.subject_prefix)
        self.verifiers = tuple(
            IssuerVerifier(
                issuer,
                self._key_sets[issuer.jwks_url],
                reserved_prefixes=() if issuer.subject_prefix else prefixes,
                now=self._now,
            )
            for issuer in wanted
        )
        self._on_change(self.verifiers)
        if self._is_running:
            for url in self._key_sets.keys() - before.keys():
                self._run(self._key_sets[url].start())
            for url in before.keys() - self._key_sets.keys():
                self._run(before[url].stop())

    def key_set(self, issuer: str) -> KeySet:
        """The key set of a trusted issuer. Raises StopIteration."""
        return next(each.keys for each in self.verifiers if each.issuer.issuer == issuer)

    async def __aenter__(self) -> Self:
        """Fetch all keys, and refresh them in the background. A failed fetch does not raise."""
        self._is_running = True
        await asyncio.gather(*(keys.start() for keys in self._key_sets.values()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_running = False
        await asyncio.gather(*(keys.stop() for keys in self._key_sets.values()))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
