"""Tokens that were verified a moment ago: what makes one good is looked at again, but for its signature."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.identity.jwks import KeySet
from app.identity.principal import Principal

MAX_TOKENS = 10_000
MAX_LENGTH = 2048  # in characters; a longer token is verified each time, so that all together stay small
_TAIL = 64  # bytes of a token that it is looked up by: of its signature, and like those of no other


class _Verified(NamedTuple):
    token: bytes
    principal: Principal
    kid: str | None
    key: RSAPublicKey
    begins: float
    ends: float


class Remembered:
    """The principals of verified tokens, each by the very characters of its token.

    They are looked up by the last of them, for to hash them all takes longer than everything else here, and then
    compared whole.
    """

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()
        self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._verified)

    def get(self, token: bytes) -> Principal | None:
        """The principal, while the token's time lasts and the key set still has the key that verified it."""
        found = self._verified.get(token[-_TAIL:])
        if found is None or found.token != token:
            return None
        if found.begins <= time.time() < found.ends and self._keys.get(found.kid) is found.key:
            self.hits += 1
            return found.principal
        del self._verified[token[-_TAIL:]]
        return None

    def add(
        self, token: bytes, principal: Principal, kid: str | None, key: RSAPublicKey, claims: Mapping[str, float]
    ) -> None:
        """Remember a token that is good now, in the place of the oldest when there are many.

        `claims` are its own; their times are read as PyJWT reads them, in whole seconds and without leeway.
        """
        if len(token) > MAX_LENGTH:
            return
        if len(self._verified) >= MAX_TOKENS:
            self._verified.popitem(last=False)
        begins = max(int(claims.get("nbf", 0)), int(claims.get("iat", 0)))
        self._verified[token[-_TAIL:]] = _Verified(token, principal, kid, key, begins, int(claims["exp"]))
