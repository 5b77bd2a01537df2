"""A signed-in user's JWT: RS256, from the issuer's own keys, for this audience, now (RFC 7519, RFC 8725)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from app.identity.bearer import MAX_HEADER
from app.identity.compact import StrictJwt, read_header
from app.identity.errors import Fault, Unauthenticated
from app.identity.jwks import KeySet
from app.identity.principal import Principal, user
from app.identity.remembered import Remembered

_FAULTS: tuple[tuple[type[Exception], Fault], ...] = (
    (jwt.InvalidSignatureError, Fault.SIGNATURE),
    (jwt.ExpiredSignatureError, Fault.EXPIRED),
    (jwt.InvalidAudienceError, Fault.AUDIENCE),
    (jwt.InvalidIssuerError, Fault.ISSUER),
    (jwt.InvalidAlgorithmError, Fault.ALGORITHM),
)


class JwtVerifier:
    """Verifies the tokens of one issuer for one audience.

    `authorized_parties`: the clients that may present a token (`azp`); none given, `azp` is not looked at.
    """

    def __init__(self, keys: KeySet, issuer: str, audience: str, authorized_parties: Iterable[str] = ()) -> None:
        self._keys = keys
        self._authorized_parties = frozenset(authorized_parties)
        self._jwt = StrictJwt(issuer, audience)
        self.remembered = Remembered(keys)

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
        if len(token) > MAX_HEADER or not token.isascii():
            raise Unauthenticated(Fault.TOKEN)
        kid = read_header(raw).get("kid")
        key = self._keys.get(kid)
        if key is None:
            key = await self._keys.find(kid)
            if key is None:
                raise Unauthenticated(Fault.SIGNATURE)
        claims = self._believe(raw, key)
        if self._authorized_parties:
            party = claims.get("azp")
            if not isinstance(party, str) or party not in self._authorized_parties:
                raise Unauthenticated(Fault.AUTHORIZED_PARTY)
        principal = user(claims["sub"], permissions(claims.get("permissions")), claims)
        self.remembered.add(raw, principal, kid, key, claims)
        return principal

    def _believe(self, raw: bytes, key: RSAPublicKey) -> dict[str, Any]:
        try:
            return self._jwt.claims_of(raw, key)
        except jwt.PyJWTError as error:
            fault = next((fault for kind, fault in _FAULTS if isinstance(error, kind)), Fault.TOKEN)
        except (ValueError, TypeError, OverflowError, RecursionError):
            fault = Fault.TOKEN
        # Raised out here so that the library's error, which quotes the input, is not its context.
        raise Unauthenticated(fault)


def permissions(claim: object) -> Sequence[str]:
    """The permission strings of a `permissions` claim: a list of strings, or one string with U+0020 between.

    Anything else grants nothing, a list with one other item included.
    """
    if isinstance(claim, str):
        return [permission for permission in claim.split(" ") if permission]
    if isinstance(claim, list) and all(isinstance(item, str) for item in claim):
        return claim
    return ()
