"""Several issuers: each token is verified by the issuer that it names, and no issuer affects another."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import product
from typing import Any

import jwt as pyjwt
import pytest

from app.identity.errors import CannotVerify, Unauthenticated
from app.identity.issuer import TrustedIssuer
from app.identity.issuers import IssuerRegistry
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from app.identity.principal import Principal
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio


@pytest.fixture
def other(untrusted_issuer: LiveIssuer) -> LiveIssuer:
    """A second issuer, which is trusted here."""
    return untrusted_issuer


def trusted(name: str, issuer: LiveIssuer, **fields: Any) -> TrustedIssuer:
    """An issuer of the test, with an audience and a prefix of its own unless it is the first."""
    prefix = "" if name == "first" else f"{name}:"
    return replace(TrustedIssuer(name, issuer.url, issuer.jwks_url, (AUDIENCE,), subject_prefix=prefix), **fields)


@asynccontextmanager
async def trusting(*issuers: TrustedIssuer) -> AsyncIterator[tuple[JwtVerifier, IssuerRegistry]]:
    """A verifier that trusts these issuers."""
    jwt = JwtVerifier()
    registry = IssuerRegistry(lambda issuer: KeySet(issuer.jwks_url, timeout_seconds=1), jwt.trust)
    registry.replace(issuers)
    async with registry:
        yield jwt, registry


async def outcome(jwt: JwtVerifier, token: str) -> str:
    """The subject of a token, or the code of its refusal."""
    try:
        return (await jwt.verify(token)).subject
    except Unauthenticated as error:
        return error.code
    except CannotVerify:
        return "unavailable"


async def twice(jwt: JwtVerifier, token: str) -> str:
    """The outcome, which is the same again when the token may be cached."""
    first = await outcome(jwt, token)
    assert await outcome(jwt, token) == first
    return first


async def test_the_same_sub_of_two_issuers_is_two_people(issuer: LiveIssuer, other: LiveIssuer) -> None:
    async with trusting(trusted("first", issuer), trusted("partner", other)) as (jwt, _):
        for sub in ("u-1", "auth0|7", "a:b", "\u00fc"):
            one, two = await jwt.verify(issuer.token(sub=sub)), await jwt.verify(other.token(sub=sub))
            assert (one.subject, two.subject) == (sub, f"partner:{sub}")
            assert f"user:{sub}" in one.held and f"user:partner:{sub}" in two.held
            assert f"user:{sub}" not in two.held
            assert two.claims["sub"] == sub


async def test_a_sub_never_makes_the_subject_of_another_issuer(issuer: LiveIssuer, other: LiveIssuer) -> None:
    async with trusting(trusted("first", issuer), trusted("partner", other)) as (jwt, registry):
        assert await twice(jwt, issuer.token(sub="partner:u-1")) == "reserved_sub"
        assert await twice(jwt, issuer.token(sub="partner:")) == "reserved_sub"
        assert await twice(jwt, issuer.token(sub="Partner:u-1")) == "Partner:u-1"
        assert await twice(jwt, issuer.token(sub="partner")) == "partner"
        assert await twice(jwt, other.token(sub="partner:u-1")) == "partner:partner:u-1"
        token = issuer.token(sub="late:u-1")
        assert await twice(jwt, token) == "late:u-1"
        registry.replace((trusted("first", issuer), trusted("late", other)))
        assert await twice(jwt, token) == "reserved_sub", "a cached token too"


async def test_the_subject_with_its_prefix_is_at_most_255_characters(issuer: LiveIssuer, other: LiveIssuer) -> None:
    async with trusting(trusted("first", issuer), trusted("partner", other)) as (jwt, _):
        assert await twice(jwt, issuer.token(sub="u" * 255)) == "u" * 255
        assert await twice(jwt, other.token(sub="u" * 247)) == "partner:" + "u" * 247
        assert await twice(jwt, other.token(sub="u" * 248)) == "malformed_sub"


async def test_no_key_verifies_a_token_that_names_another_issuer(issuer: LiveIssuer, other: LiveIssuer) -> None:
    """Every combination of who is named, who signs and whose `kid` is stated."""
    both = {"first": issuer, "partner": other}
    async with trusting(trusted("first", issuer), trusted("partner", other)) as (jwt, _):
        for named, signs, kid in product(both, both, both):
            found = await twice(jwt, both[signs].token(iss=both[named].url, kid=both[kid].kid, sub="u"))
            if kid != named:
                assert found == "unknown_kid", (named, signs, kid)
            elif signs != named:
                assert found == "signature", (named, signs, kid)
            else:
                assert found == ("u" if named == "first" else "partner:u")


@pytest.mark.parametrize("same_kid", [True, False])
async def test_issuers_with_the_same_kid_are_distinct(issuer: LiveIssuer, own: LiveIssuer, same_kid: bool) -> None:
    kid = issuer.kid if same_kid else own.kid
    body = json.loads(own.publish()[1])
    body["keys"][0]["kid"] = kid
    own.answer = lambda: (200, json.dumps(body).encode())
    async with trusting(trusted("first", issuer), trusted("partner", own)) as (jwt, _):
        assert await twice(jwt, own.token(kid=kid, sub="u")) == "partner:u"
        assert await twice(jwt, issuer.token(sub="u")) == "u"
        assert await twice(jwt, own.token(kid=kid, iss=issuer.url)) == ("signature" if same_kid else "unknown_kid")
        assert await twice(jwt, issuer.token(kid=kid, iss=own.url)) == "signature"


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url + "/",
        lambda url: url.upper(),
        lambda url: url.removesuffix(url[-1]),
        lambda url: " " + url,
        lambda url: url + "\u0000",
        lambda url: url.replace("127.0.0.1", "localhost"),
        lambda url: [url],
        lambda url: {"iss": url},
        lambda _: "",
        lambda _: 7,
    ],
)
@pytest.mark.parametrize("count", [1, 2])
async def test_an_issuer_is_matched_exactly(issuer: LiveIssuer, other: LiveIssuer, change: Any, count: int) -> None:
    issuers = [trusted("first", issuer), trusted("partner", other)][:count]
    async with trusting(*issuers) as (jwt, _):
        assert await twice(jwt, token_of(issuer, {}, iss=change(issuer.url))) == "issuer"
        assert await twice(jwt, issuer.token(iss=None)) == "missing_iss"


async def test_no_token_is_accepted_without_an_issuer(issuer: LiveIssuer) -> None:
    async with trusting() as (jwt, registry):
        assert await twice(jwt, issuer.token()) == "issuer"
        with pytest.raises(StopIteration):
            registry.key_set(issuer.url)


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "malformed_claims"),
        ("e30", "missing_iss"),  # {}
        ("W10", "malformed_claims"),  # []
        ("bnVsbA", "malformed_claims"),  # null
        ("eyJpc3MiOiJhIiwiaXNzIjoiYiJ9", "malformed_claims"),  # {"iss":"a","iss":"b"}
        ("e30=", "malformed_base64"),
        ("e3.0", "opaque"),
        ("e3+0", "malformed_base64"),
        ("eyJpc3MiOiJcdWQ4MDAifQ", "malformed_claims"),  # {"iss":"\ud800"}
    ],
)
async def test_claims_that_name_no_issuer_are_refused(
    issuer: LiveIssuer, other: LiveIssuer, payload: str, code: str
) -> None:
    header, _, signature = issuer.token().split(".")
    async with trusting(trusted("first", issuer), trusted("partner", other)) as (jwt, _):
        assert await twice(jwt, f"{header}.{payload}.{signature}") == code


async def test_each_issuer_has_its_own_rules(issuer: LiveIssuer, other: LiveIssuer) -> None:
    first = trusted("first", issuer, audiences=("one",), authorized_parties=("web",))
    second = trusted("partner", other, audiences=("two",), kinds=frozenset({"at+jwt"}), skew_seconds=100)
    async with trusting(first, second) as (jwt, _):
        assert await twice(jwt, issuer.token(aud="one", azp="web")) == "user_test"
        assert await twice(jwt, issuer.token(aud="two", azp="web")) == "audience"
        assert await twice(jwt, issuer.token(aud="one", azp="two")) == "authorized_party"
        assert await twice(jwt, issuer.token(aud="one", azp="web", nbf=_soon(50))) == "not_valid_yet"
        assert await twice(jwt, access_token(other, aud="two", azp=None)) == "partner:user_test"
        assert await twice(jwt, access_token(other, aud="one")) == "audience"
        assert await twice(jwt, access_token(other, aud="two", azp=None, nbf=_soon(50))) == "partner:user_test"
        assert await twice(jwt, other.token(aud="two")) == "token_type"


def _soon(seconds: int) -> int:
    return int(time.time()) + seconds


def token_of(issuer: LiveIssuer, header: dict[str, Any], **claims: Any) -> str:
    """A token of the issuer with this header and any claims, which PyJWT would not all write."""
    stated = {**pyjwt.decode(issuer.token(), options={"verify_signature": False}), **claims}
    payload = json.dumps({name: value for name, value in stated.items() if value is not None}).encode()
    return pyjwt.api_jws.encode(payload, issuer.key, algorithm="RS256", headers={"kid": issuer.kid, **header})


def access_token(issuer: LiveIssuer, **claims: Any) -> str:
    """A token of the type `at+jwt`."""
    return token_of(issuer, {"typ": "at+jwt"}, **claims)


@pytest.mark.parametrize(
    ("path", "claims", "expected"),
    [
        (("permissions",), {"permissions": ["a:read"], "scope": "b:read"}, {"a:read"}),
        (("scope",), {"scope": "openid a:read  b:read", "permissions": ["c:read"]}, {"openid", "a:read", "b:read"}),
        (("scp",), {"scp": ["a:read", "b:read"]}, {"a:read", "b:read"}),
        (("scp",), {"scp": "a:read b:read"}, {"a:read", "b:read"}),
        (("roles",), {"roles": ["a:read"]}, {"a:read"}),
        (("realm", "roles"), {"realm": {"roles": ["a:read"]}}, {"a:read"}),
        (("https://x.example/p",), {"https://x.example/p": ["a:read"]}, {"a:read"}),
        (("realm", "roles"), {"realm": ["roles"]}, set()),
        (("realm", "roles"), {"realm": "roles"}, set()),
        (("realm", "roles"), {"realm.roles": ["a:read"], "realm": None}, set()),
        (("realm", "roles"), {"realm": {"roles": {"a:read": True}}}, set()),
        (("roles",), {"roles": ["a:read", 7]}, set()),
        (("roles",), {"roles": "a:read,b:read"}, {"a:read,b:read"}),
        (("roles",), {}, set()),
        (
            ("roles",),
            {"roles": ["user:root", "role:admin", "auth:api_key", "anyone", "env:live", "a:read"]},
            {"a:read"},
        ),
    ],
)
async def test_permissions_are_read_from_the_stated_claim(
    issuer: LiveIssuer, other: LiveIssuer, path: tuple[str, ...], claims: dict[str, Any], expected: set[str]
) -> None:
    async with trusting(trusted("first", issuer), trusted("partner", other, permissions=path)) as (jwt, _):
        principal: Principal = await jwt.verify(other.token(**claims))
    assert principal.held - {"anyone", "auth:jwt", "user:partner:user_test"} == expected


async def test_a_removed_issuer_is_refused_at_the_next_request(issuer: LiveIssuer, other: LiveIssuer) -> None:
    first, second = trusted("first", issuer), trusted("partner", other)
    async with trusting(first, second) as (jwt, registry):
        ours, theirs = issuer.token(), other.token()
        assert (await twice(jwt, ours), await twice(jwt, theirs)) == ("user_test", "partner:user_test")
        registry.replace((first,))
        assert (await twice(jwt, ours), await twice(jwt, theirs)) == ("user_test", "unknown_kid")
        registry.replace((first, second))
        assert (await twice(jwt, ours), await twice(jwt, theirs)) == ("user_test", "partner:user_test")
        registry.replace((first, replace(second, audiences=("narrower",))))
        assert (await twice(jwt, ours), await twice(jwt, theirs)) == ("user_test", "audience")
        registry.replace((first, replace(second, subject_prefix="b:")))
        assert (await twice(jwt, ours), await twice(jwt, theirs)) == ("user_test", "b:user_test")
        registry.replace((first, replace(second, jwks_url=issuer.jwks_url)))
        assert (await twice(jwt, ours), await twice(jwt, theirs)) == ("user_test", "unknown_kid")
        registry.replace((second, replace(first, issuer="https://issuer.example")))
        assert (await twice(jwt, ours), await twice(jwt, theirs)) == ("issuer", "partner:user_test")


async def test_only_the_keys_of_a_changed_address_are_fetched_again(own: LiveIssuer, other: LiveIssuer) -> None:
    first, second = trusted("first", own), trusted("partner", other)
    async with trusting(first, second) as (jwt, registry):
        keys, fetches = registry.key_set(own.url), own.fetches
        for issuers in ((first,), (second, first), (replace(first, skew_seconds=7), second)):
            registry.replace(issuers)
            assert await twice(jwt, own.token()) == "user_test"
            assert registry.key_set(own.url) is keys
        assert own.fetches == fetches
        registry.replace((replace(first, jwks_url=own.jwks_url + "?2"), second))
        assert registry.key_set(own.url) is not keys


async def test_issuers_with_one_address_share_its_keys(own: LiveIssuer) -> None:
    """As the two versions of a tenant of Entra: each verifies the tokens that name it."""
    first, second = trusted("first", own), replace(trusted("second", own), issuer="https://v2.example")
    async with trusting(first, second) as (jwt, registry):
        assert own.fetches == 1
        assert await twice(jwt, own.token()) == "user_test"
        assert await twice(jwt, own.token(iss="https://v2.example")) == "second:user_test"
        registry.replace((second,))
        await asyncio.sleep(0)
        assert await twice(jwt, own.token()) == "issuer"
        assert await twice(jwt, own.token(iss="https://v2.example")) == "second:user_test"
        assert registry.verifiers[0].keys.ready and own.fetches == 1


async def test_a_token_that_waits_for_its_key_is_refused_if_its_issuer_is_removed(
    issuer: LiveIssuer, own: LiveIssuer
) -> None:
    """The keys arrive, or their fetch ends, after other issuers are trusted."""
    first, second = trusted("first", issuer), trusted("partner", own)
    asked, go = threading.Event(), threading.Event()

    def slow() -> tuple[int, bytes]:
        asked.set()
        go.wait(10)
        return own.publish()

    own.answer = slow
    async with trusting(first) as (jwt, registry):
        for removed, expected in ((first,), "unknown_kid"), ((first, replace(second, audiences=("x",))), "audience"):
            asked.clear()
            go.clear()
            registry.replace((first, second))
            waiting = asyncio.create_task(outcome(jwt, own.token()))
            while not asked.is_set():
                await asyncio.sleep(0.01)
            registry.replace(removed)
            go.set()
            assert await waiting == expected
            registry.replace((first,))


async def test_an_outage_affects_only_the_tokens_of_its_issuer(own: LiveIssuer, other: LiveIssuer) -> None:
    own.answer = lambda: (500, b"")
    async with trusting(trusted("first", own), trusted("partner", other)) as (jwt, registry):
        assert await twice(jwt, own.token()) == "unavailable"
        assert await twice(jwt, other.token()) == "partner:user_test"
        assert [each.keys.ready for each in registry.verifiers] == [False, True]
        assert registry.verifiers[0].keys.last_error == "the answer has status 500"


async def test_the_keys_of_a_new_issuer_are_fetched_once_for_all_its_tokens(
    issuer: LiveIssuer, own: LiveIssuer
) -> None:
    async with trusting(trusted("first", issuer)) as (jwt, registry):
        registry.replace((trusted("first", issuer), trusted("partner", own)))
        found = await asyncio.gather(*(outcome(jwt, own.token(jti=str(number))) for number in range(50)))
        assert set(found) == {"partner:user_test"}
        assert own.fetches == 1


async def test_keys_of_every_issuer_are_fetched_at_start_at_the_same_time(issuer: LiveIssuer, own: LiveIssuer) -> None:
    """An issuer that does not answer delays the start by its own timeout only."""
    go = threading.Event()
    own.answer = lambda: ((go.wait(10) and 200) or 500, b"")
    async with trusting(trusted("first", own), trusted("partner", issuer)) as (jwt, registry):
        assert registry.verifiers[0].keys.last_error == "no complete answer in 1 s"
        assert await twice(jwt, issuer.token()) == "partner:user_test"
    go.set()


async def test_many_changes_leave_no_task_behind(issuer: LiveIssuer, other: LiveIssuer) -> None:
    first, second = trusted("first", issuer), trusted("partner", other)
    before = asyncio.all_tasks()
    async with trusting(first) as (jwt, registry):
        for _ in range(20):
            registry.replace((first, second))
            registry.replace((second,))
            registry.replace(())
            await asyncio.sleep(0)
        registry.replace((first, second))
        assert await twice(jwt, other.token()) == "partner:user_test"
    assert asyncio.all_tasks() == before
