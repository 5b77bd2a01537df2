"""The claims of a token whose signature is not verified, by which something is refused and nothing allowed."""

from __future__ import annotations

from base64 import urlsafe_b64encode

import pytest

from app.identity.compact import unverified_claims
from tests.support.issuer import LiveIssuer

CLAIMS = urlsafe_b64encode(b'{"act":{"sub":"user_support"}}').rstrip(b"=")


def test_the_claims_of_a_token_of_any_issuer_are_read(untrusted_issuer: LiveIssuer) -> None:
    token = untrusted_issuer.token(sub="user_ann", act={"sub": "user_support"}).encode()
    assert unverified_claims(token)["act"] == {"sub": "user_support"}
    assert unverified_claims(b"any." + CLAIMS + b".any") == {"act": {"sub": "user_support"}}


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"opaque",
        b"a." + CLAIMS,
        b"a." + CLAIMS + b".b.c",
        b"a.b." + CLAIMS + b".c.d",
        b"a." + CLAIMS + b"=.b",
        b"a." + CLAIMS[:-1] + b".b",
        b"a..b",
        b"a." + urlsafe_b64encode(b"[]").rstrip(b"=") + b".b",
        b"a.\xff.b",
    ],
    ids=ascii,
)
def test_what_is_no_token_has_no_claims(token: bytes) -> None:
    assert unverified_claims(token) == {}
