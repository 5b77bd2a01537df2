"""Tokens that were verified a moment ago: what makes one good is looked at again, but for its signature."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from app.identity.claims import Validity
from app.identity.jwk import Keys
from app.identity.jwks import KeySet
from app.identity.principal import Principal

MAX_TOKENS = 10_000
MAX_BYTES = 20_000_000  # of all tokens; their principals take a few times as much
_TAIL = 64  # bytes of a token that it is looked up by: of its signature, and like those of no other


class _CachedToken(NamedTuple):
    token: bytes
    principal: Principal
    kid: str | None
    keys: Keys
    begins: float
    ends: float


class Remembered:
    """The principals of verified tokens, each by the very characters of its token.

    They are looked up by the last of them, for to hash them all takes longer than everything else here, and then
    compared in full. `now` is the time in seconds since 1970.
    """

    def __init__(self, keys: KeySet, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now
        self._verified: OrderedDict[bytes, _CachedToken] = OrderedDict()
        self._bytes = 0
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._verified)

    def get(self, token: bytes) -> Principal | None:
        """The principal, while the token's time lasts and the key set still has the keys that verified it."""
        found = self._verified.get(token[-_TAIL:])
        if found is None or found.token != token:
            return None
        if found.begins <= self._now() < found.ends and self._keys.get(found.kid) is found.keys:
            self.hits += 1
            return found.principal
        self._drop(token[-_TAIL:])
        return None

    def add(self, token: bytes, principal: Principal, kid: str | None, keys: Keys, validity: Validity) -> None:
        """Remember a token that is good now, in the place of the oldest when there are many."""
        tail = token[-_TAIL:]
        if tail in self._verified:
            self._drop(tail)
        self._verified[tail] = _CachedToken(token, principal, kid, keys, *validity)
        self._bytes += len(token)
        while len(self._verified) > MAX_TOKENS or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._verified)))

    def _drop(self, tail: bytes) -> None:
        self._bytes -= len(self._verified.pop(tail).token)
