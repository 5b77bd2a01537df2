"""Every cause for which a token is refused, and accepted tokens at the bounds."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64encode
from typing import Any

import jwt as pyjwt
import pytest
from structlog.testing import capture_logs

from app.identity.claims import ClaimRules
from app.identity.errors import HEADER_FAULTS, REASON_CODES, AuthenticationFault, Cause, Unauthenticated
from app.identity.issuer import ID_TOKENS
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier, single_issuer
from app.identity.refusal_log import RefusalLog
from tests.identity.clock import Clock
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import AUDIENCE

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000
LAST = 253402300799  # the last second of the year 9999
ISSUER = "https://issuer.example"
GOOD = {"iss": ISSUER, "aud": AUDIENCE, "sub": "u", "exp": NOW + 60, "azp": PARTY}


def word_of(claims: dict[str, Any], audiences: tuple[str, ...] = (AUDIENCE,), skew: int = 5) -> str:
    """The cause for which these claims are refused at NOW; empty if they are accepted."""
    rules = ClaimRules(ISSUER, audiences, (PARTY,), skew_seconds=skew, now=lambda: NOW)
    try:
        rules.check({name: value for name, value in {**GOOD, **claims}.items() if value != "absent"})
    except Unauthenticated as refused:
        return refused.code
    return ""


@pytest.mark.parametrize(
    ("claims", "word"),
    [
        ({}, ""),
        ({"sub": "absent"}, "missing_sub"),
        ({"sub": None}, "missing_sub"),
        ({"sub": 7}, "sub_not_a_string"),
        ({"sub": True}, "sub_not_a_string"),
        ({"sub": ["u"]}, "sub_not_a_string"),
        ({"sub": ""}, "empty_sub"),
        ({"sub": "a\nb"}, "malformed_sub"),
        ({"sub": "a" * 255}, ""),
        ({"sub": "a" * 256}, "malformed_sub"),
        ({"jti": 7}, "malformed_jti"),
        ({"jti": ""}, "malformed_jti"),
        ({"jti": None}, ""),
        ({"jti": "a"}, ""),
        ({"jti": "a\nb"}, "malformed_jti"),
        ({"jti": False}, "malformed_jti"),
        ({"exp": "absent"}, "missing_exp"),
        ({"exp": None}, "missing_exp"),
        ({"exp": str(NOW + 60)}, "malformed_exp"),
        ({"exp": True}, "malformed_exp"),
        ({"exp": float("nan")}, "malformed_exp"),
        ({"exp": float("inf")}, "malformed_exp"),
        ({"exp": 10**30}, "malformed_exp"),
        ({"exp": -(10**30)}, "malformed_exp"),
        ({"exp": (NOW + 60) * 1000}, "exp_in_milliseconds"),
        ({"exp": (NOW + 60) * 1000.5}, "exp_in_milliseconds"),
        ({"exp": LAST}, ""),
        ({"exp": LAST + 1}, "exp_in_milliseconds"),
        ({"exp": LAST * 1000}, "exp_in_milliseconds"),
        ({"exp": LAST * 1000 + 1}, "malformed_exp"),
        ({"exp": -LAST}, "expired"),
        ({"exp": -LAST - 1}, "malformed_exp"),
        ({"exp": NOW - 4}, ""),
        ({"exp": NOW - 4.5}, ""),
        ({"exp": NOW - 5}, "expired"),
        ({"exp": NOW - 5.5}, "expired"),
        ({"exp": 0}, "expired"),
        ({"exp": -1}, "expired"),
        ({"nbf": NOW + 5}, ""),
        ({"nbf": NOW + 5.5}, "not_valid_yet"),
        ({"nbf": NOW + 6}, "not_valid_yet"),
        ({"nbf": NOW + 30}, "not_valid_yet"),
        ({"nbf": 0}, ""),
        ({"nbf": None}, "malformed_nbf"),
        ({"nbf": "x"}, "malformed_nbf"),
        ({"nbf": False}, "malformed_nbf"),
        ({"nbf": True}, "malformed_nbf"),
        ({"nbf": NOW * 1000}, "nbf_in_milliseconds"),
        ({"nbf": LAST}, "not_valid_yet"),
        ({"nbf": -LAST}, ""),
        ({"nbf": -LAST - 1}, "malformed_nbf"),
        ({"iat": NOW + 3}, ""),
        ({"iat": NOW + 30}, ""),
        ({"iat": NOW + 10**6}, ""),
        ({"iat": []}, "malformed_iat"),
        ({"iat": None}, "malformed_iat"),
        ({"iat": True}, "malformed_iat"),
        ({"iat": False}, "malformed_iat"),
        ({"iat": NOW * 1000}, "iat_in_milliseconds"),
        ({"iss": "absent"}, "missing_iss"),
        ({"iss": ISSUER + "/"}, "issuer"),
        ({"iss": 7}, "issuer"),
        ({"iss": [ISSUER]}, "issuer"),
        ({"aud": "absent"}, "missing_aud"),
        ({"aud": None}, "missing_aud"),
        ({"aud": "another"}, "audience"),
        ({"aud": AUDIENCE[:-1]}, "audience"),
        ({"aud": []}, "audience"),
        ({"aud": ""}, "audience"),
        ({"aud": ["another", AUDIENCE]}, ""),
        ({"aud": [AUDIENCE, 7]}, "malformed_aud"),
        ({"aud": {AUDIENCE: 1}}, "malformed_aud"),
        ({"aud": 7}, "malformed_aud"),
        ({"azp": "absent"}, "missing_azp"),
        ({"azp": None}, "missing_azp"),
        ({"azp": [PARTY]}, "authorized_party"),
        ({"azp": PARTY + "/"}, "authorized_party"),
        ({"cnf": {"jkt": "x"}}, "sender_constrained"),
        ({"cnf": None}, "sender_constrained"),
        ({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}, "security_event"),
        ({"events": ["a name of their own"]}, ""),
        ({"sts": "active"}, ""),
        ({"sts": "pending"}, "sts_not_active"),
        ({"sts": "expired"}, "sts_not_active"),
        ({"sts": "Active"}, "sts_not_active"),
        ({"sts": ""}, "sts_not_active"),
        ({"sts": None}, "sts_not_active"),
        ({"sts": True}, "sts_not_active"),
        ({"sts": ["active"]}, "sts_not_active"),
    ],
    ids=str,
)
def test_each_fault_of_the_claims_has_its_cause(claims: dict[str, Any], word: str) -> None:
    assert word_of(claims) == word


def test_without_clock_skew_the_times_of_a_token_are_exact() -> None:
    def check(at: float) -> str:
        rules = ClaimRules(ISSUER, (AUDIENCE,), now=lambda: at)
        try:
            rules.check({**GOOD, "nbf": NOW, "exp": NOW + 60})
        except Unauthenticated as refused:
            return refused.code
        return ""

    moments = (NOW - 0.001, NOW, NOW + 59.999, NOW + 60)
    assert [check(at) for at in moments] == ["not_valid_yet", "", "", "expired"]


def test_faults_are_reported_in_a_fixed_order() -> None:
    bad: dict[str, Any] = {"azp": 7, "aud": 7, "iss": "x", "nbf": NOW + 60, "exp": NOW - 60, "cnf": 1, "sub": 7}
    words = ("sub_not_a_string", "sender_constrained", "expired", "not_valid_yet", "issuer", "malformed_aud")
    for word, fixed in zip(
        (*words, "authorized_party"), ("sub", "cnf", "exp", "nbf", "iss", "aud", "azp"), strict=True
    ):
        assert word_of(bad) == word
        del bad[fixed]
    assert word_of(bad) == ""


@pytest.mark.parametrize(
    ("audience", "word"),
    [
        ("absent", ""),
        (None, ""),
        ([], ""),
        ("", ""),
        (AUDIENCE, "unexpected_aud"),
        (["a"], "unexpected_aud"),
        (0, "unexpected_aud"),
    ],
    ids=str,
)
def test_without_an_audience_a_token_for_another_service_is_refused(audience: Any, word: str) -> None:
    assert word_of({"aud": audience}, audiences=()) == word


@pytest.mark.parametrize("audience", ["one", "two", ["two"], ["x", "one"]], ids=str)
def test_one_of_several_audiences_suffices(audience: Any) -> None:
    assert word_of({"aud": audience}, audiences=("one", "two")) == ""
    assert word_of({"aud": audience}, audiences=("three", "on")) == "audience"


def test_pyjwt_accepts_every_accepted_token(issuer: LiveIssuer) -> None:
    """A token that PyJWT refuses with the same leeway is refused here."""
    now = int(time.time())
    key = issuer.key.public_key()
    changed: list[dict[str, Any]] = [
        *({"exp": now + at} for at in (-3600, -6, -4, 60)),
        *({"nbf": now + at} for at in (-60, 4, 6, 3600)),
        *({"aud": aud} for aud in (AUDIENCE, [AUDIENCE, "x"], "x", ["x"], [], None)),
        *({name: None} for name in ("iss", "sub", "exp")),
    ]
    for changes in changed:
        token = issuer.token(**changes)
        rules = ClaimRules(issuer.url, (AUDIENCE,), skew_seconds=5)
        try:
            rules.check(pyjwt.decode(token, options={"verify_signature": False}))
        except Unauthenticated:
            with pytest.raises(pyjwt.PyJWTError):
                _decode(token, key, issuer.url)
        else:
            assert _decode(token, key, issuer.url)["sub"] == "user_test"


def _decode(token: str, key: Any, issuer: str) -> dict[str, Any]:
    decoded: dict[str, Any] = pyjwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=AUDIENCE,
        issuer=issuer,
        leeway=5,
        options={"require": ["iss", "aud", "exp", "sub"]},
    )
    return decoded


def with_header(issuer: LiveIssuer, claims: dict[str, Any] | None = None, **header: Any) -> str:
    """A validly signed token with changed header members; those that are "absent" are left out."""
    stated = {"alg": "RS256", "kid": issuer.kid, "typ": "JWT", **header}
    stated = {name: value for name, value in stated.items() if value != "absent"}
    payload = pyjwt.decode(issuer.token(), options={"verify_signature": False}) | (claims or {})
    first, second = (urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (stated, payload))
    signature = pyjwt.get_algorithm_by_name("RS256").sign(first + b"." + second, issuer.key)
    return b".".join([first, second, urlsafe_b64encode(signature).rstrip(b"=")]).decode()


@pytest.mark.parametrize(
    ("header", "word"),
    [
        *(({"typ": kind}, "") for kind in ("absent", "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt")),
        *(({"typ": kind}, "") for kind in ("application/jwt", "Application/AT+jwt")),
        *(
            ({"typ": kind}, "token_type")
            for kind in (
                *("logout+jwt", "secevent+jwt", "dpop+jwt", "application/logout+jwt", "kb+jwt", "JOSE", "", "at+jwt "),
                *("oauth-authz-req+jwt", "token-introspection+jwt", "application/application/jwt", "text/jwt"),
                *(None, 7, ["JWT"], True),
            )
        ),
        ({"crit": ["exp"]}, "crit"),
        ({"b64": True}, "crit"),
        ({"b64": False}, "crit"),
        ({"b64": None}, "crit"),
        ({"kid": 7}, "malformed_kid"),
        ({"kid": None}, "malformed_kid"),
        ({"kid": False}, "malformed_kid"),
        ({"kid": []}, "malformed_kid"),
        ({"kid": ["unknown"]}, "malformed_kid"),
        ({"kid": "unknown"}, "unknown_kid"),
        ({"kid": "absent"}, ""),
        ({"alg": "PS256"}, "algorithm"),
        ({"alg": "absent"}, "algorithm"),
        ({"alg": "rs256"}, "algorithm"),
    ],
    ids=str,
)
async def test_each_fault_of_the_header_has_its_cause(issuer: LiveIssuer, header: dict[str, Any], word: str) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        assert await word_for(single_issuer(keys, issuer.url, (AUDIENCE,)), with_header(issuer, **header)) == word


async def word_for(verifier: JwtVerifier, token: str) -> str:
    try:
        await verifier.verify(token)
    except Unauthenticated as refused:
        return refused.code
    return ""


async def test_each_fault_of_the_form_has_its_cause(issuer: LiveIssuer, untrusted_issuer: LiveIssuer) -> None:
    good = issuer.token()
    first, second, third = good.split(".")
    tokens = {
        "opaque": ["abc", "v2.local", "ya29.a0Af", "a.b.c.d", f"acme_live_{'5a' * 23}", f"sk_prod_{'5a' * 24}"],
        "other_prefix": [f"acme_{kind}_{'5a' * 24}" for kind in ("live", "test", "oat", "ort", "oac", "ocs")],
        "encrypted": ["a.b.c.d.e"],
        "malformed_header": ["a.b.c", f".{second}.{third}"],
        "malformed_base64": [good + "=", f"{first}.{second}=.{third}"],
        "malformed_claims": [pyjwt.PyJWS().encode(b"[]", issuer.key, "RS256", {"kid": issuer.kid})],
        "not_ascii": [good + "é"],
        "too_long": ["e" * 16_385, "e" * 16_384 + "é"],
        "signature": [untrusted_issuer.token(kid=issuer.kid), f"{first}.{second}.AAAA"],
        "": [good, issuer.token(blob="x" * 8_000)],
    }
    async with KeySet(issuer.jwks_url) as keys:
        verifier = single_issuer(keys, issuer.url, (AUDIENCE,))
        for word, those in tokens.items():
            for token in those:
                assert await word_for(verifier, token) == word, token[:40]


async def test_an_access_token_is_no_id_token(issuer: LiveIssuer) -> None:
    async with KeySet(issuer.jwks_url) as keys:
        verifier = single_issuer(keys, issuer.url, (AUDIENCE,), kinds=ID_TOKENS)
        assert await word_for(verifier, with_header(issuer)) == ""
        assert await word_for(verifier, with_header(issuer, typ="at+jwt")) == "token_type"


@pytest.mark.parametrize("limit", [1024, 16_384, 65_536])
async def test_a_token_may_be_as_long_as_the_limit(issuer: LiveIssuer, limit: int) -> None:
    short = len(issuer.token(blob=""))
    token = issuer.token(blob="x" * ((limit - short) * 3 // 4))
    while len(token) < limit:
        token = token[:-1] + "A" * (limit - len(token) + 1)  # in any form: that is checked later
    async with KeySet(issuer.jwks_url) as keys:
        verifier = single_issuer(keys, issuer.url, (AUDIENCE,), max_bytes=limit)
        assert await word_for(verifier, token) != "too_long"
        assert await word_for(verifier, token + "A") == "too_long"


def test_a_malformed_header_is_no_cause_of_a_token() -> None:
    assert {fault.name for fault in HEADER_FAULTS} == {"NO_CREDENTIALS", "SPACES", "SENT_TWICE"}


def test_every_reason_begins_with_its_detail_and_has_a_unique_cause() -> None:
    assert len(REASON_CODES) == len(set(REASON_CODES.values())) == len(AuthenticationFault) + len(Cause)
    for bad in (*AuthenticationFault, *Cause):
        refused = Unauthenticated(bad)
        assert REASON_CODES[refused.reason] == refused.code
        assert refused.reason.startswith(refused.fault.value)
        assert refused.code.isidentifier()


def test_a_cause_is_logged_once_a_minute_with_its_count() -> None:
    clock = Clock()
    refusals = RefusalLog(clock)
    began = clock.now
    with capture_logs() as lines:
        for moment, times in ((0.0, 3), (59.9, 1), (60.0, 2), (120.0, 1), (121.0, 1), (200.0, 1)):
            clock.now = began + moment
            for _ in range(times):
                refusals.note(Unauthenticated(Cause.MISSING_AUD))
                if moment == 0:
                    refusals.note(Unauthenticated(AuthenticationFault.EXPIRED))
    lines = [line for line in lines if line["event"] == "credentials refused"]
    assert [(line["cause"], line["detail"], line["count"]) for line in lines] == [
        ("missing_aud", "Invalid audience.", 1),
        ("expired", "Token has expired.", 1),
        ("missing_aud", "Invalid audience.", 4),
        ("missing_aud", "Invalid audience.", 2),
        ("missing_aud", "Invalid audience.", 2),
    ]
