"""Verification of users' JWTs (RFC 7519, RFC 8725)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from app.identity.bearer import MAX_TOKEN_BYTES
from app.identity.claims import ClaimRules
from app.identity.compact import read_claims, read_header
from app.identity.errors import Cause, Unauthenticated
from app.identity.jwks import KeySet
from app.identity.permission_claim import parse_permissions
from app.identity.principal import Principal, user_principal
from app.identity.token_cache import TokenCache

# The kinds of token that are accepted, by `typ` in the header. A token without `typ` counts as `jwt`.
ACCESS_TOKEN = frozenset({"jwt", "at+jwt"})  # RFC 9068 section 2.1
ID_TOKEN = frozenset({"jwt"})


class JwtVerifier:
    """Verifies the tokens of one issuer. The arguments of `ClaimRules` have the same meaning here.

    Tokens longer than `max_bytes` are refused; `kinds` are the accepted types of token.
    """

    def __init__(
        self,
        keys: KeySet,
        issuer: str,
        audiences: tuple[str, ...],
        authorized_parties: tuple[str, ...] = (),
        *,
        skew_seconds: int = 0,
        max_bytes: int = MAX_TOKEN_BYTES,
        kinds: Collection[str] = ACCESS_TOKEN,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._rules = ClaimRules(issuer, audiences, authorized_parties, skew_seconds=skew_seconds, now=now)
        self._kinds = frozenset(kinds)
        self.max_bytes = max_bytes
        self.cache = TokenCache(keys, now)

    async def verify(self, token: str) -> Principal:
        """The principal of a token. Waits only if its signing key has to be fetched.

        The claims are read after the signature has been verified. The signature of a cached token is not verified again
        while its key is published and the token is valid. Raises Unauthenticated, and CannotVerify if there are no
        signing keys.
        """
        raw = token.encode("utf-8", "surrogatepass")
        cached = self.cache.get(raw)
        if cached is not None:
            return cached
        self.cache.misses += 1
        if len(raw) > self.max_bytes:
            raise Unauthenticated(Cause.TOO_LONG)
        if not token.isascii():
            raise Unauthenticated(Cause.NOT_ASCII)
        kid, kind = read_header(raw)
        if kind not in self._kinds:
            raise Unauthenticated(Cause.TOKEN_TYPE)
        keys = await self._keys.find(kid)
        if keys is None:
            raise Unauthenticated(Cause.MISSING_KID if kid is None else Cause.UNKNOWN_KID)
        claims = read_claims(raw, keys)
        validity = self._rules.check(claims)
        principal = user_principal(claims["sub"], parse_permissions(claims.get("permissions")), claims)
        self.cache.add(raw, principal, kid, keys, validity)
        return principal
