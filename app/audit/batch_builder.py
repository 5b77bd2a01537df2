"""Builds batches of records from queued decisions."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from time import perf_counter

import structlog

from app.audit.batch import Batch
from app.audit.decision_class import class_of
from app.audit.decision_queue import QueuedDecision, losses_of
from app.audit.drops import Loss
from app.audit.record import MAX_TEXT, DecisionKey, Unverified, decision_key, size_of, token_id_of
from app.audit.sanitize import clean_once
from app.identity.principal import Principal
from app.policy.engine.decision import Decision

MAX_CACHED_KEYS = 1_000  # each refers to an outcome and a principal
MAX_CACHED_BYTES = 4_000_000  # of all these principals and keys, about
_SECONDS = 0.0003
_CacheKey = tuple[int, int, str, str, str]  # the ids of the principal and the outcome; door, resource and action
_log = structlog.stdlib.get_logger("decisions")


class BatchBuilder:
    """The current batch, and the decisions that are taken from the queue for it."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.taken: deque[QueuedDecision] = deque()
        # Identities are compared, since that is fast. Token ids and indexes of keys in the current batch:
        self._indexes: dict[_CacheKey, tuple[str | None, int]] = {}
        # Keys across batches, with the objects they come from, so that no other object gets the same identity.
        self._keys: dict[_CacheKey, tuple[DecisionKey, Principal | None, Decision | Unverified]] = {}
        self._bytes = 0  # about those of the principals in it

    def __len__(self) -> int:
        return len(self.batch) + len(self.taken)

    def fill(self, count: int) -> list[Loss]:
        """Move at most `count` of the taken decisions to the batch; return those that cannot be recorded.

        New keys, which callers can make expensive, are built for at most about `_SECONDS`.
        """
        ends = perf_counter() + _SECONDS
        batch, indexes, taken, lost = self.batch, self._indexes, self.taken, list[Loss]()
        rows = batch.rows
        for _ in range(min(count, len(taken))):
            queued = taken.popleft()
            at, latency, request_id, door, resource, action, principal, outcome, times = queued
            cache_key = (id(principal), id(outcome), door, resource, action)
            try:
                found = indexes.get(cache_key)
                if is_new := found is None:
                    key, is_cached = self._key(cache_key, principal, outcome)
                    found = (token_id_of(principal), batch.key_index(key))
                    if is_cached:
                        indexes[cache_key] = found
                # As `batch.add` does, in half the time.
                token_id, index = found
                rows.append((at // 1000, latency // 1000, clean_once(request_id, MAX_TEXT), token_id, index, times))
                if is_new and perf_counter() >= ends:
                    break
            except Exception:  # noqa: BLE001  # a defect, which must not end the log
                lost.extend(losses_of((queued,)))
                _log.exception("a decision cannot be recorded")
        return lost

    def start_batch(self) -> None:
        """Start another batch."""
        self.batch = Batch()
        self._indexes.clear()
        if len(self._keys) >= MAX_CACHED_KEYS or self._bytes >= MAX_CACHED_BYTES:
            self._bytes = 0
            self._keys.clear()  # only together with the indexes, which rely on the identities of its objects

    def losses(self) -> Iterator[Loss]:
        """The decisions of the batch, as lost ones."""
        classes = [class_of(key.door, key.method) for key in self.batch.keys]
        for at, _, _, _, key_index, times in self.batch.rows:
            yield Loss(classes[key_index], at, times)

    def _key(
        self, cache_key: _CacheKey, principal: Principal | None, outcome: Decision | Unverified
    ) -> tuple[DecisionKey, bool]:
        """The key of a decision, and whether it is cached with the objects that its identities are of."""
        cached = self._keys.get(cache_key)
        if cached is not None:
            return cached[0], True
        key = decision_key(*cache_key[2:], principal, outcome)
        if principal is not None:
            if self._bytes >= MAX_CACHED_BYTES:
                return key, False
            self._bytes += 2 * size_of(principal)  # the key has its grants as text
        self._keys[cache_key] = (key, principal, outcome)
        return key, True
