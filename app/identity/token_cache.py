"""Cache of verified tokens: a hit skips the signature, and checks the validity period and the signing key again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from app.identity.jwk import Keys
from app.identity.jwks import KeySet
from app.identity.principal import Principal

MAX_TOKENS = 10_000
MAX_BYTES = 20_000_000  # of all tokens; their principals take a few times as much
_TAIL = 64  # the last bytes of the signature, which are the cache key


class VerifiedToken(NamedTuple):
    """A verified token: its principal, the key set of its issuer and the keys with its `kid`, and its validity.

    `begins` and `ends` are those of `Validity`.
    """

    token: bytes
    principal: Principal
    key_set: KeySet
    kid: str | None
    keys: Keys
    begins: float
    ends: float


class TokenCache:
    """The principals of verified tokens.

    A token is looked up by its tail and then compared in full: hashing all of it would take longer than the rest of a
    look-up. `now` returns the time in seconds since 1970.
    """

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._tokens: OrderedDict[bytes, VerifiedToken] = OrderedDict()
        self._bytes = 0
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._tokens)

    def get(self, token: bytes) -> Principal | None:
        """The principal of a cached token that is still valid and whose signing keys are still published."""
        cached = self._tokens.get(token[-_TAIL:])
        if cached is None:
            return None
        known, principal, key_set, kid, keys, begins, ends = cached  # in a third of the time of attributes
        if known != token:
            return None
        if begins <= self._now() < ends and key_set.get(kid) is keys:
            self.hits += 1
            return principal
        self._evict(token[-_TAIL:])
        return None

    def add(self, verified: VerifiedToken) -> None:
        """Add a token that has just been verified. The oldest tokens are evicted if there are too many."""
        tail = verified.token[-_TAIL:]
        if tail in self._tokens:
            self._evict(tail)
        self._tokens[tail] = verified
        self._bytes += len(verified.token)
        while len(self._tokens) > MAX_TOKENS or self._bytes > MAX_BYTES:
            self._evict(next(iter(self._tokens)))

    def clear(self) -> None:
        """Remove all tokens, because other issuers are trusted."""
        self._tokens.clear()
        self._bytes = 0

    def _evict(self, tail: bytes) -> None:
        self._bytes -= len(self._tokens.pop(tail).token)
