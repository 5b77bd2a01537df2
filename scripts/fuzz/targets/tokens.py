"""Bearer tokens: signed ones whose header and claims are hostile, and good ones that are changed.

An oracle reads each token by itself: one that is taken has the exact signature of its own header and claims, and the
claims that it must have. Two doors must agree on it: a gateway's, and introspection.
"""

from __future__ import annotations

import json
import re
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import jwt
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from scripts.fuzz.application import API_KEY, GATEWAY_SECRET, SERVICE, Application, Question, application
from scripts.fuzz.mutations import mutated, mutated_json
from scripts.fuzz.responses import check_answer
from scripts.fuzz.signing import CLAIMS, EXPIRES, HEADER, ISSUER, KEY, KID, encoded, signed, token, token_of
from scripts.fuzz.target import Check, Target, Violation
from scripts.fuzz.targets.headers import OPERATOR
from tests.support.issuer import PARTY
from tests.support.server import AUDIENCE

_SKEW = 5  # seconds
_LONGEST = 16_384
_VISIBLE = re.compile(rb"[!-~]+")
_CLAIMS = tuple(
    {**CLAIMS, **more}
    for more in (
        *({}, {"permissions": "catalog:read holdings:read"}, {"aud": [AUDIENCE, "x"]}, {"sts": "active", "jti": "j-1"}),
        *({"exp": EXPIRES + 0.5}, {"sid": "s", "org": {"id": "o", "roles": ["a"]}}, {"sub": "auth0|7", "nbf": -1}),
    )
)
_HEADERS = (HEADER, {"alg": "RS256", "kid": KID}, {"alg": "RS256"}, {**HEADER, "typ": "at+jwt"}, {**HEADER, "cty": "x"})
_HEADER_KEYS = ("alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "x5c", "enc", "zip")
_CLAIM_KEYS = (*CLAIMS, "sts", "jti", "cnf", "events", "scope", "act")
_WORDS = (
    *(b".", b"..", b"=", b"==", b"-", b"_", b"+", b"/", b"%", b" ", b",", b"grd_", b"grd_live_", b"eyJ", b"AAAA"),
    *(b'"alg":"none"', b'"alg":"HS256"', b'"exp":', b'"sub":', b'"permissions":', b'["catalog:read"]', b"catalog:read"),
    *(b'"crit":["exp"]', b"\\u0000", b"\\ud800", b"\\u202e", b"true", b"null", b"{}", b"[]", b'"', b"\xef\xbb\xbf"),
)
EXAMPLES = (token("catalog:read").encode(), API_KEY.encode(), token_of(b'{"alg":"RS256"}', json.dumps(CLAIMS).encode()))


@st.composite
def _signed(draw: DrawFn) -> bytes:
    """Tokens with a good signature of whatever they hold."""
    header = draw(_text(_HEADERS, _HEADER_KEYS))
    claims = draw(_text(_CLAIMS, _CLAIM_KEYS))
    if draw(st.integers(0, 3)):
        return token_of(header, claims)
    content = encoded(header) + b"." + encoded(claims)  # of which the encoding is hostile
    return signed(draw(mutated([content], _WORDS, most=_LONGEST + 1_000)))


def _text(bases: Sequence[Any], keys: Sequence[str]) -> SearchStrategy[bytes]:
    texts = [json.dumps(base).encode() for base in bases]
    return st.sampled_from(texts[:1]) | mutated_json(bases, keys) | mutated(texts, _WORDS, most=_LONGEST)


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    bases = [*EXAMPLES, *seeds]
    return (
        _signed()
        | mutated(bases, _WORDS, most=_LONGEST + 1_000)
        | _signed().flatmap(lambda good: mutated([good], _WORDS))
    )


def expected(data: bytes) -> dict[str, Any] | None:
    """The claims of a token that may be taken; None for one that must not be."""
    if not _VISIBLE.fullmatch(data) or data.count(b".") != 2 or data.startswith(b"grd_"):
        return None
    content = data.rpartition(b".")[0]
    if signed(content) != data:
        return None
    try:
        header, claims = (
            json.loads(urlsafe_b64decode(part + b"==="[: -len(part) % 4])) for part in content.split(b".")
        )
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict) or header.get("alg") != "RS256":
        return None
    now = time.time()
    exp, nbf, sub, aud = claims.get("exp"), claims.get("nbf", 0), claims.get("sub"), claims.get("aud")
    good = (
        isinstance(exp, int | float)
        and exp + _SKEW > now
        and isinstance(nbf, int | float)
        and nbf - _SKEW <= now
        and isinstance(sub, str)
        and bool(sub)
        and claims.get("iss") == ISSUER
        and claims.get("azp") == PARTY
        and (aud == AUDIENCE or (isinstance(aud, list) and AUDIENCE in aud))
        and claims.get("sts", "active") == "active"
    )
    return claims if good else None


def granted(claims: dict[str, Any]) -> set[str]:
    """The permissions that these claims state."""
    stated = claims.get("permissions")
    if isinstance(stated, str):
        return {each for each in stated.split(" ") if each}
    return set(stated) if isinstance(stated, list) and all(isinstance(each, str) for each in stated) else set()


def _check_gateway(app: Application, data: bytes) -> bool:
    """Whether a gateway's door takes the token. Raises Violation where it must not, or with what it must not."""
    question = Question(
        "GET",
        b"/gateway/envoy/v1/orders/7",
        [
            (b"x-gateway-secret", GATEWAY_SECRET.encode()),
            (b"x-gateway-service", SERVICE.encode()),
            (b"authorization", b"Bearer " + data),
        ],
    )
    answer = app.ask(question)
    check_answer(answer)
    if answer.status not in (200, 401, 403):
        raise Violation(f"a gateway was answered with {answer.status}")
    if answer.status == 401:
        return False
    if data.strip(b" \t") == API_KEY.encode():
        return True
    claims = expected(data.strip(b" \t"))
    if claims is None:
        raise Violation(f"taken, with {answer.status}, though it must not be")
    jwt.decode(
        data.strip(b" \t").decode(),
        KEY.public_key(),
        algorithms=["RS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        leeway=_SKEW + 1,
        options={"verify_iat": False, "verify_jti": False},
    )
    if answer.status == 200:
        if "catalog:read" not in granted(claims) or "blocked" in claims:
            raise Violation(f"200 for the permissions {claims.get('permissions')!r}")
        if [unquote_to_bytes(value) for value in answer.values(b"x-auth-subject")] != [claims["sub"].encode()]:
            raise Violation(f"another subject: {answer.values(b'x-auth-subject')}")
    return True


def _check_introspection(app: Application, data: bytes, *, taken: bool) -> None:
    question = Question(
        "POST",
        b"/oauth/introspect",
        [
            (b"authorization", b"Bearer " + OPERATOR.encode()),
            (b"content-type", b"application/x-www-form-urlencoded"),
        ],
        [b"token=" + quote_from_bytes(data, safe="").encode()],
    )
    answer = app.ask(question)
    check_answer(answer)
    if answer.status == 200 and json.loads(answer.body)["active"] is not taken:
        raise Violation(f"a gateway says {taken}, introspection {answer.body[:200]!r}")


@contextmanager
def _opened() -> Iterator[Check]:
    with application() as app:

        def check(data: bytes) -> None:
            taken = _check_gateway(app, data)
            if _VISIBLE.fullmatch(data):
                _check_introspection(app, data, taken=taken)

        yield check


TARGET = Target("tokens", EXAMPLES, _inputs, _opened)
