"""Tokens that the fuzzed application verifies, the same in every run, so that a seed stays what it was."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import RSAAlgorithm

from app.dev.issuer import Issuer
from tests.support.issuer import PARTY
from tests.support.server import AUDIENCE

ISSUER = "https://issuer.example"
SUBJECT = "user_reader"
EXPIRES = 4_102_444_800  # in 2100
# No secret: the key of RFC 7515 appendix A.2.
_JWK = {
    "kty": "RSA",
    "e": "AQAB",
    "n": (
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ"
        "S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2"
        "R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcD"
        "TW9gb54h4FRWyuXpoQ"
    ),
    "d": (
        "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_G"
        "O-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQl"
        "BjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0"
        "QU91p1DhOVRuOopznQ"
    ),
}


def _key() -> RSAPrivateKey:
    key = RSAAlgorithm.from_jwk(_JWK)
    assert isinstance(key, RSAPrivateKey)
    return key


KEY = _key()
KID = Issuer(KEY).kid
HEADER: Mapping[str, Any] = {"alg": "RS256", "kid": KID, "typ": "JWT"}
CLAIMS: Mapping[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "azp": PARTY,
    "sub": SUBJECT,
    "exp": EXPIRES,
    "iat": 1_700_000_000,
    "nbf": 1_700_000_000,
    "permissions": ["catalog:read"],
}


def encoded(data: bytes) -> bytes:
    """Base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(data).rstrip(b"=")


def signed(content: bytes) -> bytes:
    """The token whose header and claims, both encoded, are this; the signature of RS256 is the same each time."""
    return content + b"." + encoded(KEY.sign(content, PKCS1v15(), SHA256()))


def token_of(header: bytes, claims: bytes) -> bytes:
    """The signed token with these texts."""
    return signed(encoded(header) + b"." + encoded(claims))


def token(*permissions: str, **claims: Any) -> str:
    """A good token with these permissions."""
    stated = {**CLAIMS, "permissions": list(permissions), **claims}
    return token_of(json.dumps(HEADER).encode(), json.dumps(stated).encode()).decode()
