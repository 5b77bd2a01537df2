"""A signed-in user's JWT: RS256, from the issuer's own keys, for this audience, now (RFC 7519, RFC 8725)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from app.identity.bearer import MAX_TOKEN_BYTES
from app.identity.claims import ClaimRules
from app.identity.compact import read_claims, read_header
from app.identity.errors import Cause, Unauthenticated
from app.identity.jwks import KeySet
from app.identity.permission_claim import permissions
from app.identity.principal import Principal, user
from app.identity.token_cache import Remembered

# The kinds of token that are taken, by the `typ` of the header. A token without one counts as `jwt`.
ACCESS_TOKEN = frozenset({"jwt", "at+jwt"})  # RFC 9068 section 2.1
ID_TOKEN = frozenset({"jwt"})


class JwtVerifier:
    """Verifies the tokens of one issuer, by the rules of `ClaimRules`.

    `max_bytes` is the length of the longest token that is read, `kinds` are the types of token that are taken.
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
        self.remembered = Remembered(keys, now)

    async def verify(self, token: str) -> Principal:
        """The user whom the token names. Waits only for a key that is not here yet.

        The order is that of trust: form, algorithm, key, signature, and only then the claims. The signature
        of a token that was good before is not verified again while its key is published and its time lasts.
        Raises Unauthenticated with the token's fault, CannotVerify when there are no signing keys.
        """
        raw = token.encode("utf-8", "surrogatepass")
        known = self.remembered.get(raw)
        if known is not None:
            return known
        self.remembered.misses += 1
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
        principal = user(claims["sub"], permissions(claims.get("permissions")), claims)
        self.remembered.add(raw, principal, kid, keys, validity)
        return principal
