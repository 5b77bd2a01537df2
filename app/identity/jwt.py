"""Verification of users' JWTs (RFC 7519, RFC 8725)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType

from app.identity.bearer import MAX_TOKEN_BYTES
from app.identity.claims import ClaimRules
from app.identity.compact import Header, read_claims, read_header, unverified_issuer
from app.identity.errors import AuthenticationFault, CannotVerify, Cause, Unauthenticated
from app.identity.external_app import external_app
from app.identity.issuer import ACCESS_TOKEN, API_TOKENS, TrustedIssuer, claim_at
from app.identity.jwks import KeySet
from app.identity.membership import read_membership
from app.identity.permission_claim import parse_permissions
from app.identity.principal import Principal, delegated_principal, token_id, user_principal
from app.identity.token_cache import TokenCache, VerifiedToken

# Claims that only access tokens have. Microsoft Entra ID has `scp` and `appid`, Okta `scp` and `cid`.
_APP_CLAIMS = frozenset({"client_id", "cid", "appid", "scope", "scp"})
# Claims with the client that a token was issued to.
_CLIENT_CLAIMS = ("client_id", "cid", "appid", "azp")


class IssuerVerifier:
    """Verifies the tokens of one issuer with its signing keys.

    `reserved_prefixes` are the prefixes of other issuers' subjects. `now` returns the time in seconds since 1970.
    """

    __slots__ = ("_rules", "issuer", "keys", "reserved_prefixes")

    def __init__(
        self,
        issuer: TrustedIssuer,
        keys: KeySet,
        *,
        reserved_prefixes: tuple[str, ...] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self.issuer = issuer
        self.keys = keys
        self.reserved_prefixes = reserved_prefixes
        self._rules = ClaimRules(
            issuer.issuer,
            issuer.audiences,
            issuer.authorized_parties,
            skew_seconds=issuer.skew_seconds,
            subject_prefix=issuer.subject_prefix,
            reserved_prefixes=reserved_prefixes,
            now=now,
        )

    async def verify(self, token: bytes, header: Header) -> VerifiedToken:
        """Verify a token with this header, and read its claims after its signature.

        Raises Unauthenticated, and CannotVerify if there are no signing keys.
        """
        if header.kind not in self.issuer.kinds:
            raise Unauthenticated(Cause.TOKEN_TYPE)
        keys = await self.keys.find(header.kid)
        if keys is None:
            raise Unauthenticated(Cause.MISSING_KID if header.kid is None else Cause.UNKNOWN_KID)
        claims = read_claims(token, keys)
        validity = self._rules.check(claims)
        return VerifiedToken(token, self._principal(claims, header.kind), self.keys, header.kid, keys, *validity)

    def _principal(self, claims: Mapping[str, object], kind: str) -> Principal:
        issuer = self.issuer
        subject = f"{issuer.subject_prefix}{claims['sub']}"
        permissions = parse_permissions(claim_at(claims, issuer.permissions))
        organization = None
        if issuer.organizations is not None and (membership := read_membership(claims, issuer, self.reserved_prefixes)):
            organization = membership.organization
            permissions = [*permissions, *membership.permissions]
        if _is_of_app(claims, kind, issuer):
            app = external_app(issuer.name, claims.get("client_id"))
            scopes = parse_permissions(claim_at(claims, issuer.scopes))
            return delegated_principal(
                subject, app, scopes, permissions, claims=claims, token_id=token_id(claims), organization=organization
            )
        return user_principal(subject, permissions, claims, organization=organization)


def _is_of_app(claims: Mapping[str, object], kind: str, issuer: TrustedIssuer) -> bool:
    """Whether a token is one of an app on behalf of its user.

    It is not if it names the clients of the operator, and no other. Unless the operator says what the issuer is, a
    token counts that names its client as RFC 9068 says, and the clients of the operator are those that may present
    tokens, or that tokens are for.
    """
    if issuer.is_delegating is False:
        return False
    clients = [claims[name] for name in _CLIENT_CLAIMS if claims.get(name) is not None]
    own = issuer.own_clients
    if issuer.is_delegating is None:
        if claims.get("client_id") is None and not (kind == ACCESS_TOKEN and clients):
            return False
        own = (*own, *issuer.authorized_parties, *issuer.audiences)
    elif kind != ACCESS_TOKEN and not _has_app_claims(claims, issuer):
        return False
    return not (clients and all(client in own for client in clients))


def _has_app_claims(claims: Mapping[str, object], issuer: TrustedIssuer) -> bool:
    """Whether a token of an authorization server is for an app, although its type does not say so.

    Session tokens have no scope. Some servers name the app in another claim than `client_id`: their access tokens are
    refused, since as those of users they would open what no app may reach.
    """
    return not claims.keys().isdisjoint(_APP_CLAIMS) or claim_at(claims, issuer.scopes) is not None


class JwtVerifier:
    """Verifies the tokens of the trusted issuers, each by the issuer that it names and by no other.

    `issuers` are the verifiers by `iss`. Tokens longer than `max_bytes` are refused.
    """

    def __init__(
        self,
        issuers: Iterable[IssuerVerifier] = (),
        *,
        max_bytes: int = MAX_TOKEN_BYTES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.max_bytes = max_bytes
        self.cache = TokenCache(now)
        self._issuers: Mapping[str, IssuerVerifier] = MappingProxyType({})
        self.trust(issuers)

    def trust(self, issuers: Iterable[IssuerVerifier]) -> None:
        """Trust these issuers instead of those before. No cached token is accepted without verifying it again."""
        self._issuers = MappingProxyType({each.issuer.issuer: each for each in issuers})
        self.cache.clear()

    def is_reserved(self, issuer: str, subject: str) -> bool:
        """Whether a subject of a trusted issuer would be that of a user of another one."""
        verifier = self._issuers.get(issuer)
        return verifier is not None and subject.startswith(verifier.reserved_prefixes)

    async def verify(self, token: str) -> Principal:
        """The principal of a token. Waits only if its signing key has to be fetched.

        The signature of a cached token is not verified again while its issuer is trusted, its key is published and the
        token is valid. Raises Unauthenticated, and CannotVerify if there are no signing keys.
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
        header = read_header(raw)
        while True:
            issuers = self._issuers
            verifier = _select(issuers, raw)
            try:
                verified = await verifier.verify(raw, header)
            except (Unauthenticated, CannotVerify):
                if self._issuers is issuers:
                    raise
            else:
                if self._issuers is issuers:
                    self.cache.add(verified)
                    return verified.principal
            # Other issuers are trusted since the verification began, so its result does not count.


def _select(issuers: Mapping[str, IssuerVerifier], token: bytes) -> IssuerVerifier:
    """The verifier of the issuer that the token names. Raises Unauthenticated."""
    if len(issuers) == 1:  # which checks the issuer after the signature
        return next(iter(issuers.values()))
    verifier = issuers.get(unverified_issuer(token))
    if verifier is None:
        raise Unauthenticated(AuthenticationFault.ISSUER)
    return verifier


def single_issuer(
    keys: KeySet,
    issuer: str,
    audiences: tuple[str, ...],
    authorized_parties: tuple[str, ...] = (),
    *,
    skew_seconds: int = 0,
    max_bytes: int = MAX_TOKEN_BYTES,
    kinds: Collection[str] = API_TOKENS,
    now: Callable[[], float] = time.time,
) -> JwtVerifier:
    """A verifier for the tokens of users of one issuer, with a key set that its caller starts and stops."""
    trusted = TrustedIssuer(
        issuer,
        issuer,
        "",
        audiences,
        authorized_parties,
        kinds=frozenset(kinds),
        skew_seconds=skew_seconds,
        is_delegating=False,
    )
    return JwtVerifier((IssuerVerifier(trusted, keys, now=now),), max_bytes=max_bytes, now=now)
