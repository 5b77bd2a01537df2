"""A JWT: uncached, compared with a bare verification of its signature, and cached."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator

import jwt
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from app.identity.jwks import KeySet
from app.identity.jwt import single_issuer
from scripts.bench.measuring import Options, Row, compared, spread
from tests.support.issuer import LiveIssuer
from tests.support.server import AUDIENCE

_TOKENS = 300


def measure(options: Options) -> Iterator[Row]:
    """Measure both."""
    yield from asyncio.run(_measure(options))


async def _measure(options: Options) -> list[Row]:
    first: list[float] = []
    bare: list[float] = []
    pyjwt: list[float] = []
    again: list[float] = []
    with LiveIssuer() as issuer:
        async with KeySet(issuer.jwks_url) as keys:
            verifier = single_issuer(keys, issuer.url, (AUDIENCE,))
            public = issuer.key.public_key()
            for number in range(options.rounds):
                tokens = [
                    issuer.token(permissions=["catalog:read"], jti=f"{number}-{at}")
                    for at in range(20 if options.tiny else _TOKENS)
                ]
                started = time.thread_time()
                for token in tokens:
                    await verifier.verify(token)
                first.append((time.thread_time() - started) / len(tokens) * 1e6)
                parts = [token.rpartition(".") for token in tokens]
                raw = [(base64.urlsafe_b64decode(sign + "=="), said.encode()) for said, _, sign in parts]
                padding, digest = PKCS1v15(), SHA256()
                started = time.thread_time()
                for signature, said in raw:
                    public.verify(signature, said, padding, digest)
                bare.append((time.thread_time() - started) / len(tokens) * 1e6)
                started = time.thread_time()
                for token in tokens:
                    jwt.decode(token, public, algorithms=["RS256"], audience=AUDIENCE, issuer=issuer.url)
                pyjwt.append((time.thread_time() - started) / len(tokens) * 1e6)
                started = time.thread_time()
                for token in tokens * 10:
                    await verifier.verify(token)
                again.append((time.thread_time() - started) / len(tokens) / 10 * 1e6)
    other = ("bare RSA-2048 by cryptography", bare)
    what = "a JWT seen for the first time"
    return [
        compared("tokens", what, "µs", ours=first, other=other, goal="at most 2.5 times"),
        compared("tokens", what, "µs", ours=first, other=("PyJWT with a key object", pyjwt), goal=""),
        Row("tokens", "a JWT seen before", "µs", spread(again), "under 1 µs"),
    ]
