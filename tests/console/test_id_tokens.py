"""The ID and access tokens of a real issuer: which are accepted, with which name and permissions."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest

from app.console.config import Console
from app.console.login_state import LoginState
from app.console.oidc import OpenId
from app.identity.issuer import SETTINGS, TrustedIssuer
from app.identity.issuers import IssuerRegistry
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from tests.console.signing_in import SKEW, URL, half_digest, openid_of, signed_in, tokens, why
from tests.support.issuer import CONSOLE, LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio

ALONE = "the ID token has another audience than this client"
OTHER = "the ID token has the nonce of another sign-in"
NOT_GOOD: dict[str, tuple[dict[str, Any], str]] = {
    "another audience": ({"aud": AUDIENCE}, "the ID token is invalid: Invalid audience."),
    "no audience": ({"aud": None}, "the ID token is invalid: Invalid audience. (missing_aud)"),
    "one more audience": ({"aud": [CONSOLE.id, "another"]}, ALONE),
    "the same audience twice": ({"aud": [CONSOLE.id, CONSOLE.id]}, ALONE),
    "another party": ({"azp": "another"}, ALONE),
    "an empty party": ({"azp": ""}, ALONE),
    "another issuer": ({"iss": "https://evil.example"}, "the ID token is invalid: Invalid issuer."),
    "another nonce": ({"nonce": "another"}, OTHER),
    "a longer nonce": ({"nonce": "longer"}, OTHER),
    "an odd nonce": ({"nonce": "é"}, OTHER),
    "a nonce in a list": ({"nonce": "list"}, OTHER),
    "no nonce": ({"nonce": None}, OTHER),
    "no time": ({"iat": None}, "the ID token has no iat"),
    "over": ({"exp": 1}, "the ID token is invalid: Token has expired."),
    "half of a pair of surrogates": ({"name": "\ud800"}, "the ID token is invalid: Invalid token. (malformed_claims)"),
    "no subject": ({"sub": None}, "the ID token is invalid: Invalid token. (missing_sub)"),
    "an access token of another time": (
        {"at_hash": "x"},
        "the access token does not match at_hash",
    ),
    **{
        f"{length} bytes of the access token's digest": (
            {"at_hash": half_digest("opaque", length)},
            "the access token does not match at_hash",
        )
        for length in (15, 17, 32)
    },
}


@pytest.mark.parametrize("name", NOT_GOOD)
async def test_why_an_id_token_is_refused(openid: OpenId, issuer: LiveIssuer, attempt: LoginState, name: str) -> None:
    claims, reason = NOT_GOOD[name]
    odd = {"longer": attempt.nonce + "x", "list": [attempt.nonce]}
    with tokens(issuer, attempt, **{key: odd.get(str(value), value) for key, value in claims.items()}):
        assert await why(openid, issuer, attempt) == (502, [reason])


@pytest.mark.parametrize(
    "changes", [{}, {"access_token": None}, {"access_token": "for the API"}, {"sub": "partner:"}], ids=str
)
async def test_no_user_has_the_subject_of_another_issuer(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, attempt: LoginState, changes: dict[str, Any]
) -> None:
    claims = {"sub": "partner:user_ann", **changes}
    if "access_token" in claims:
        claims["access_token"] = claims["access_token"] and issuer.token(sub=claims["sub"])
    jwt = JwtVerifier()
    registry = IssuerRegistry(lambda each: KeySet(each.jwks_url), jwt.trust)
    own = TrustedIssuer(SETTINGS, issuer.url, issuer.jwks_url, (AUDIENCE,))
    partner = TrustedIssuer(
        "partner", untrusted_issuer.url, untrusted_issuer.jwks_url, (AUDIENCE,), subject_prefix="partner:"
    )
    registry.replace((own, partner))
    async with registry:
        openid = OpenId(Console(URL, issuer.url, CONSOLE.id, None, 3600, SKEW), registry.key_set(issuer.url), jwt)
        with tokens(issuer, attempt, **claims):
            reason = "the ID token is invalid: Invalid token. (reserved_sub)"
            assert await why(openid, issuer, attempt) == (502, [reason])
            registry.replace((own,))
            assert (await signed_in(openid, issuer, attempt)).subject == claims["sub"]
        await openid.close()


@pytest.mark.parametrize("kind", ["at+jwt", "logout+jwt"])
async def test_a_token_of_another_type_is_no_id_token(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, kind: str
) -> None:
    claims = jwt.decode(
        issuer.token(sub="user_alice", aud=CONSOLE.id, nonce=attempt.nonce), options={"verify_signature": False}
    )
    token = jwt.encode(claims, issuer.key, algorithm="RS256", headers={"kid": issuer.kid, "typ": kind})
    with tokens(issuer, attempt, id_token=token):
        reason = "the ID token is invalid: Invalid token. (token_type)"
        assert await why(openid, issuer, attempt) == (502, [reason])


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [CONSOLE.id]},
        {"azp": None},
        {"at_hash": half_digest("opaque")},
        {"groups": ["g" * 36] * 500},  # more than a header would hold
        {"iat": 10},
    ],
    ids=str,
)
async def test_an_id_token_may_state_its_type(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, claims: dict[str, Any]
) -> None:
    with tokens(issuer, attempt, **claims):
        assert (await signed_in(openid, issuer, attempt)).subject == "user_alice"


@pytest.mark.parametrize(("past", "good"), [(SKEW - 2, True), (SKEW + 1, False)])
async def test_the_clock_of_the_issuer_may_differ_by_the_clock_skew(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, past: int, good: bool
) -> None:
    with tokens(issuer, attempt, exp=int(time.time()) - past):
        if good:
            assert (await signed_in(openid, issuer, attempt)).subject == "user_alice"
        else:
            assert await why(openid, issuer, attempt) == (502, ["the ID token is invalid: Token has expired."])


async def test_no_id_token_is_accepted_without_signing_keys(issuer: LiveIssuer, attempt: LoginState) -> None:
    async with KeySet(issuer.jwks_url) as keys, KeySet(issuer.url + "/nowhere") as none:
        for openid in (openid_of(issuer, none), openid_of(issuer, keys, none)):
            with tokens(issuer, attempt, access_token=issuer.token(sub="user_alice")):
                assert await why(openid, issuer, attempt) == (503, ["Signing keys are unavailable."])
            await openid.close()


# What it grants.

BOTH = ["catalog:read", "policies:write"]


@pytest.mark.parametrize(
    ("access", "granted"),
    [
        (None, ("holdings:read",)),
        (7, ("holdings:read",)),
        ("", ("holdings:read",)),
        ("opaque", ("holdings:read",)),
        ("another audience", ("holdings:read",)),
        ("for the API", ("catalog:read", "policies:write")),
    ],
)
async def test_permissions_come_from_an_access_token_that_the_api_accepts(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, access: Any, granted: tuple[str, ...]
) -> None:
    made = {
        "another audience": lambda: issuer.token(sub="user_alice", aud="x", permissions=BOTH),
        "for the API": lambda: issuer.token(sub="user_alice", permissions=[*reversed(BOTH), "role:admin", "anyone"]),
    }
    access = made[access]() if access in made else access
    stated = ["user:root", "holdings:read", "env:live"]
    with tokens(issuer, attempt, access_token=access, permissions=stated):
        assert (await signed_in(openid, issuer, attempt)).permissions == granted


@pytest.mark.parametrize(
    ("access", "act"),
    [
        ({"aud": "x", "act": {"sub": "user_support"}}, {"sub": "user_support"}),
        ({"aud": "x", "act": {}}, {"sub": "unknown"}),
        ({"sts": "pending", "act": "user_support"}, {"sub": "unknown"}),
        ({"sub": "user_support", "aud": "x", "act": {"sub": "user_support"}}, {"sub": "user_support"}),
        ({"aud": "x"}, None),
        ("opaque", None),
        ("a.b.c", None),
        ("..", None),
        ("\u00e9.e30.x", None),
    ],
    ids=str,
)
async def test_who_acts_as_the_user_is_read_from_a_token_for_another_service_too(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, access: Any, act: dict[str, str] | None
) -> None:
    stated = issuer.token(**{"sub": "user_alice", **access}) if isinstance(access, dict) else access
    with tokens(issuer, attempt, access_token=stated):
        assert (await signed_in(openid, issuer, attempt)).act == act


async def test_an_access_token_of_another_subject_is_refused(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState
) -> None:
    for claims in ({}, {"at_hash": "its own"}):
        access = issuer.token(sub="user_bob", permissions=BOTH)
        stated = {name: half_digest(access) for name in claims}
        with tokens(issuer, attempt, access_token=access, **stated):
            assert await why(openid, issuer, attempt) == (502, ["the access token has another subject"])


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "\U0001f3c8" * 201}, "\U0001f3c8" * 200),
        ({"name": "Name", "preferred_username": "preferred", "email": "mail@o.example"}, "Name"),
        ({"name": " ", "preferred_username": "preferred", "email": "mail@o.example"}, "preferred"),
        ({"name": 7, "preferred_username": "", "email": " mail@o.example "}, "mail@o.example"),
        ({"nickname": "nick"}, "user_alice"),
        ({"name": "a\x00b" + "c" * 300}, "a\ufffdb" + "c" * 197),
        ({"name": "c" * 199}, "c" * 199),
        ({"name": " " + "c" * 201}, "c" * 200),
    ],
)
async def test_the_display_name_is_the_first_usable_claim(
    openid: OpenId, issuer: LiveIssuer, attempt: LoginState, claims: dict[str, Any], name: str
) -> None:
    with tokens(issuer, attempt, **claims):
        assert (await signed_in(openid, issuer, attempt)).name == name
