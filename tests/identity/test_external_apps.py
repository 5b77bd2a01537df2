"""Access tokens of another authorization server (RFC 9068): an app on behalf of a user, with two allows."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from app.identity.errors import Unauthenticated
from app.identity.jwt import JwtVerifier
from app.policy.engine.snapshot import Snapshot
from tests.identity.test_several_issuers import access_token, token_of, trusted, trusting
from tests.policy.small import snapshot
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE, ROOT

pytestmark = pytest.mark.anyio
ROWS = (
    "p, a:read, /x, GET, allow",
    "p, a:write, /x, POST, allow",
    "p, auth:jwt, /y, GET, allow",
    "p, app-kind:external, scope:a:read, ask, allow",
    "g, user:partner:ann, role:editor",
    "g, role:editor, a:read",
    "g, role:editor, a:write",
)


@pytest.fixture(scope="module")
def policy() -> Snapshot:
    return snapshot(*ROWS)


@asynccontextmanager
async def delegating(own: LiveIssuer, other: LiveIssuer, **fields: Any) -> AsyncIterator[JwtVerifier]:
    """A verifier for an issuer of users, and for an authorization server."""
    server = replace(trusted("partner", other), is_delegating=True, **fields)
    async with trusting(trusted("first", own), server) as (jwt, _):
        yield jwt


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "application/AT+JWT"}, {"typ": "JWT"}, {}])
async def test_an_access_token_is_an_app_on_behalf_of_its_user(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, policy: Snapshot, header: dict[str, str]
) -> None:
    claims = {"client_id": "web", "scope": "openid a:read a:write", "sub": "ann", "jti": "t-1"}
    async with delegating(issuer, untrusted_issuer) as jwt:
        principal = await jwt.verify(token_of(untrusted_issuer, header, **claims))
    assert (principal.subject, principal.method) == ("partner:ann", "oauth")
    assert (principal.client_id, principal.token_id) == ("partner/web", "t-1")
    assert {"app:partner/web", "app-kind:external", "auth:oauth"} <= principal.held
    assert not principal.held & {"auth:jwt", "user:partner:ann", "a:read", "a:write"}
    assert policy.decide(principal.held, "/x", "GET").allowed
    assert not policy.decide(principal.held, "/x", "POST").allowed, "no row lets the app ask for a:write"
    assert not policy.decide(principal.held, "/y", "GET").allowed, "it is not a signed-in user"


async def test_both_sides_must_be_allowed(issuer: LiveIssuer, untrusted_issuer: LiveIssuer, policy: Snapshot) -> None:
    async def allowed(**claims: Any) -> bool:
        principal = await jwt.verify(access_token(untrusted_issuer, client_id="web", **claims))
        return policy.decide(principal.held, "/x", "GET").allowed

    async with delegating(issuer, untrusted_issuer, permissions=("roles",)) as jwt:
        assert await allowed(sub="bob", scope="a:read", roles=["a:read"])
        assert not await allowed(sub="bob", scope="a:read")
        assert not await allowed(sub="bob", scope="a:read", permissions=["a:read"])
        assert not await allowed(sub="bob", roles=["a:read"])
        assert not await allowed(sub="ann", scope="b:read")
        assert not await allowed(
            sub="bob", scope="a:read", roles=["user:partner:ann", "role:editor", "on-behalf::a:read"]
        )
        assert not await allowed(sub="ann", scope="consented::a:read app-kind:registered on-behalf::a:read")
    async with delegating(issuer, untrusted_issuer, scopes=("scp",)) as jwt:
        assert await allowed(sub="ann", scp=["a:read"])
        assert not await allowed(sub="ann", scope="a:read")


@pytest.mark.parametrize(
    "client_id", [None, "", 7, ["web"], "a b", "a|b", "a,b", "w\u00e9b", "x" * 512, "a#b", 'a"', "a*", "a\n"]
)
async def test_an_app_that_no_row_can_name_is_refused(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, client_id: Any
) -> None:
    async with delegating(issuer, untrusted_issuer) as jwt:
        with pytest.raises(Unauthenticated) as refused:
            await jwt.verify(access_token(untrusted_issuer, client_id=client_id, scope="a:read"))
    assert refused.value.code == "malformed_client_id"


@pytest.mark.parametrize(
    "client_id", ["app_1", "https://app.example/client.json", "partner/web", "a:b", "app-kind:registered"]
)
async def test_the_id_of_an_app_is_never_that_of_another_issuers_app(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, client_id: str
) -> None:
    async with delegating(issuer, untrusted_issuer) as jwt:
        principal = await jwt.verify(access_token(untrusted_issuer, client_id=client_id, scope="a:read"))
    assert principal.client_id == f"partner/{client_id}"
    assert [grant for grant in principal.held if grant.startswith("app:")] == [f"app:partner/{client_id}"]
    assert "app-kind:registered" not in principal.held


async def test_tokens_of_users_and_of_other_issuers_stay_what_they_are(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer
) -> None:
    async with delegating(issuer, untrusted_issuer) as jwt:
        assert (await jwt.verify(untrusted_issuer.token())).method == "jwt"
        assert (await jwt.verify(issuer.token(scope="a:read"))).method == "jwt"


@pytest.mark.parametrize(
    "claims",
    [
        {"azp": "web", "scope": "openid a:read", "typ": "Bearer"},  # Keycloak, Auth0
        {"cid": "web", "scp": ["openid", "a:read"], "uid": "ann"},  # Okta
        {"appid": "web", "scp": "a:read", "ver": "1.0"},  # Microsoft Entra ID
        {"azp": "web", "scp": "a:read", "ver": "2.0"},
        {"cid": "web"},
        {"scope": ""},
        {"granted": ["a:read"]},
    ],
)
async def test_an_access_token_that_names_its_app_elsewhere_is_not_one_of_a_user(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, claims: dict[str, Any]
) -> None:
    async with delegating(issuer, untrusted_issuer, scopes=("granted",)) as jwt:
        for header in ({"typ": "JWT"}, {}):
            with pytest.raises(Unauthenticated) as refused:
                await jwt.verify(token_of(untrusted_issuer, header, sub="ann", permissions=["a:write"], **claims))
            assert refused.value.code == "malformed_client_id"
        named = await jwt.verify(token_of(untrusted_issuer, {}, **{**claims, "client_id": "web"}))
        assert (named.method, named.client_id) == ("oauth", "partner/web")


_WEB = {"client_id": "web", "scope": "a:read"}


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": "at+jwt"}, _WEB),
        ({"typ": "JWT"}, _WEB),
        ({}, {"azp": "web", "scope": "a:read"}),  # Keycloak, Auth0
        ({}, {"cid": "ios", "scp": ["a:read"], "azp": None}),  # Okta
        ({}, {"appid": "ios", "azp": "web", "scp": "a:read"}),
        ({"typ": "at+jwt"}, {"azp": "web"}),
        ({"typ": "JWT"}, {"client_id": None, "azp": "web", "scope": ""}),
    ],
)
async def test_a_token_for_a_client_of_the_operator_is_one_of_the_user(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, header: dict[str, str], claims: dict[str, Any]
) -> None:
    named = {"azp": None, **claims}
    async with delegating(issuer, untrusted_issuer, own_clients=("web", "ios")) as jwt:
        principal = await jwt.verify(token_of(untrusted_issuer, header, sub="ann", permissions=["a:write"], **named))
    assert (principal.method, principal.client_id) == ("jwt", None)
    assert {"auth:jwt", "user:partner:ann", "a:write"} <= principal.held


@pytest.mark.parametrize(
    "claims",
    [
        {"client_id": "other", "scope": "a:read"},
        {"client_id": "other", "azp": "web"},
        {"client_id": "web", "azp": "other"},
        {"client_id": "web", "cid": "other"},
        {"client_id": "web", "appid": "other"},
        {"client_id": "WEB"},
        {"client_id": "web "},
        {"client_id": "web", "azp": ["web"]},
        {"client_id": "web", "azp": {}},
        {"client_id": "web", "azp": ""},
        {"client_id": "web,ios"},
    ],
)
async def test_a_token_that_names_another_client_is_not(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, claims: dict[str, Any]
) -> None:
    async with delegating(issuer, untrusted_issuer, own_clients=("web", "ios")) as jwt:
        for header in ({"typ": "at+jwt"}, {"typ": "JWT"}, {}):
            token = token_of(untrusted_issuer, header, sub="ann", permissions=["a:write"], **{"azp": None, **claims})
            try:
                principal = await jwt.verify(token)
            except Unauthenticated as refused:
                assert refused.code == "malformed_client_id"
            else:
                assert principal.method == "oauth"
                assert not principal.held & {"auth:jwt", "a:write", "user:partner:ann"}


@pytest.mark.parametrize("header", [{"typ": "at+jwt"}, {"typ": "JWT"}, {}])
async def test_a_token_that_names_no_client_is_that_of_an_app_unless_it_is_a_session_token(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, header: dict[str, str]
) -> None:
    async with delegating(issuer, untrusted_issuer, own_clients=("web",)) as jwt:
        with pytest.raises(Unauthenticated):
            await jwt.verify(token_of(untrusted_issuer, header, azp=None, scope="a:read"))
        if header.get("typ") == "at+jwt":
            return
        assert (await jwt.verify(token_of(untrusted_issuer, header, azp="https://app.example"))).method == "jwt"


@pytest.mark.parametrize(
    ("header", "claims", "code"),
    [
        ({"typ": "at+jwt"}, {"client_id": "web"}, ""),
        ({"typ": "application/AT+JWT"}, {"client_id": "web", "scope": "a:read"}, ""),
        ({"typ": "JWT"}, {"client_id": "web", "azp": "web"}, ""),
        ({}, {"client_id": "web", "scope": "a:read"}, ""),
        ({}, {"client_id": "web", "azp": "own"}, ""),
        ({}, {"client_id": "own", "azp": "web"}, ""),
        ({}, {"client_id": "own", "cid": "web"}, ""),
        ({"typ": "at+jwt"}, {"azp": "web"}, "malformed_client_id"),
        ({"typ": "at+jwt"}, {"cid": "web"}, "malformed_client_id"),
        ({"typ": "at+jwt"}, {"appid": "web"}, "malformed_client_id"),
        ({}, {"client_id": ["own"]}, "malformed_client_id"),
        ({}, {"client_id": ""}, "malformed_client_id"),
        ({}, {"client_id": {}}, "malformed_client_id"),
    ],
)
async def test_a_token_that_names_another_client_is_one_of_an_app_unless_the_operator_says_otherwise(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer, header: dict[str, str], claims: dict[str, Any], code: str
) -> None:
    token = token_of(untrusted_issuer, header, sub="ann", permissions=["a:write"], **{"azp": None, **claims})
    for fields in ({}, {"audiences": (AUDIENCE, "own")}, {"own_clients": ("own",)}):
        async with trusting(trusted("first", issuer), trusted("partner", untrusted_issuer, **fields)) as (jwt, _):
            try:
                principal = await jwt.verify(token)
            except Unauthenticated as refused:
                assert refused.code == code
                continue
            assert (code, principal.method) == ("", "oauth")
            assert not principal.held & {"auth:jwt", "a:write", "user:partner:ann"}
    async with trusting(trusted("first", issuer), trusted("partner", untrusted_issuer, is_delegating=False)) as (
        jwt,
        _,
    ):
        assert (await jwt.verify(token)).method == "jwt"


@pytest.mark.parametrize(
    ("header", "claims", "fields"),
    [
        ({}, {"azp": "https://app.example", "sid": "sess_1", "sts": "active", "v": 2}, {}),  # Clerk
        ({}, {"azp": "https://app.example", "sid": "sess_1"}, {"authorized_parties": ("https://app.example",)}),
        ({"typ": "JWT"}, {"azp": "web", "scope": "openid"}, {}),  # Auth0, Keycloak
        ({}, {"cid": "web", "scp": ["openid"]}, {}),  # Okta
        ({}, {"appid": "web", "scp": "a:read"}, {}),  # Microsoft Entra ID
        ({}, {"client_id": "pool-client", "token_use": "access"}, {"audiences": (AUDIENCE, "pool-client")}),  # Cognito
        ({"typ": "at+jwt"}, {"client_id": "web", "azp": "web"}, {"authorized_parties": ("web",)}),
        ({"typ": "at+jwt"}, {"client_id": "web"}, {"own_clients": ("web",)}),
        ({"typ": "at+jwt"}, {}, {}),
        ({}, {"client_id": None}, {}),
    ],
)
async def test_a_token_that_names_no_client_or_one_of_the_operator_is_one_of_the_user(
    issuer: LiveIssuer,
    untrusted_issuer: LiveIssuer,
    header: dict[str, str],
    claims: dict[str, Any],
    fields: dict[str, Any],
) -> None:
    token = token_of(untrusted_issuer, header, sub="ann", permissions=["a:write"], **{"azp": None, **claims})
    async with trusting(trusted("first", issuer), trusted("partner", untrusted_issuer, **fields)) as (jwt, _):
        principal = await jwt.verify(token)
    assert (principal.method, principal.client_id) == ("jwt", None)
    assert {"auth:jwt", "user:partner:ann", "a:write"} <= principal.held


async def test_the_table_of_the_page_is_what_the_verifier_does(
    issuer: LiveIssuer, untrusted_issuer: LiveIssuer
) -> None:
    page = (ROOT / "app" / "identity" / "README.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| `(\{[^|]*\})` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, flags=re.MULTILINE)
    headers = {"JWT": [{"typ": "JWT"}, {}], "at+jwt": [{"typ": "at+jwt"}]}
    settings: tuple[dict[str, Any], ...] = (
        {},
        {"is_delegating": True, "own_clients": ("web",)},
        {"is_delegating": False},
    )
    assert len(rows) > 10
    for number, fields in enumerate(settings):
        async with trusting(trusted("first", issuer), trusted("partner", untrusted_issuer, **fields)) as (jwt, _):
            for typ, claims, *expected in rows:
                for header in [each for name, some in headers.items() if name in typ or typ == "any" for each in some]:
                    token = token_of(untrusted_issuer, header, sub="ann", **{"azp": None, **json.loads(claims)})
                    try:
                        principal = await jwt.verify(token)
                    except Unauthenticated as refused:
                        assert refused.code == "malformed_client_id"
                        found = "401"
                    else:
                        client = principal.client_id
                        found = "the user" if client is None else f"app `{client.removeprefix('partner/')}`"
                    assert found == expected[number], (typ, claims, fields)
