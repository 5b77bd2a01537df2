"""Session tokens as this program reads them, and as Clerk's own backend SDK does in Node."""

from __future__ import annotations

import json
import subprocess
import time
from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives import serialization

from app.identity.errors import Unauthenticated
from app.identity.issuer import CLERK, TrustedIssuer
from app.identity.issuers import IssuerRegistry
from app.identity.jwks import KeySet
from app.identity.jwt import JwtVerifier
from app.identity.principal import is_fact
from tests.support.clerk_tokens import session_claims
from tests.support.issuer import LiveIssuer
from tests.support.node_packages import NODE, node_packages

_SDK = Path(__file__).with_name("clerk_sdk")
# The id, the role, the slug and the permissions of an organization; None for a token that is refused.
Read = Sequence[Any] | None


def signed(issuer: LiveIssuer, claims: Sequence[dict[str, Any]]) -> list[str]:
    """Tokens with these claims, which are valid for an hour."""
    now = int(time.time())
    valid = {"iss": issuer.url, "iat": now - 5, "nbf": now - 5, "exp": now + 3600}
    headers = {"kid": issuer.kid}
    return [pyjwt.encode({**valid, **each}, issuer.key, algorithm="RS256", headers=headers) for each in claims]


def read_by_sdk(issuer: LiveIssuer, tokens: Sequence[str]) -> list[tuple[Read, Read]]:
    """What the SDK reads from tokens: by `verifyToken`, and by `authenticateRequest`."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public = issuer.key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    asked = {
        "jwtKey": public,
        "publishableKey": f"pk_live_{b64encode(b'clerk.example.com$').decode()}",
        "tokens": list(tokens),
    }
    directory = node_packages(_SDK)
    script = (_SDK / "read_tokens.mjs").read_text()
    done = subprocess.run(
        [str(NODE), "--input-type=module", "--eval", script],
        input=json.dumps(asked),
        cwd=directory,  # where it finds its modules
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [(one, other) for one, other in json.loads(done.stdout)]


async def read_here(issuer: LiveIssuer, tokens: Sequence[str]) -> list[Read]:
    """What this program reads from tokens, in the words of the SDK."""
    jwt = JwtVerifier()
    registry = IssuerRegistry(lambda trusted: KeySet(trusted.jwks_url), jwt.trust)
    registry.replace([TrustedIssuer("clerk", issuer.url, issuer.jwks_url, organizations=CLERK)])
    async with registry:
        return [await _read(jwt, token) for token in tokens]


async def _read(jwt: JwtVerifier, token: str) -> Read:
    try:
        principal = await jwt.verify(token)
    except Unauthenticated:
        return None
    permissions = sorted(f"org:{grant}" for grant in principal.held if not is_fact(grant))
    organization = principal.organization
    if organization is None:
        return None, None, None, permissions
    assert permissions == sorted({f"org:{permission}" for permission in organization.permissions})
    role = f"org:{organization.role}" if organization.role else None
    return organization.id, role, organization.slug or None, permissions


async def differences(issuer: LiveIssuer, other: LiveIssuer, count: int, seed: int) -> list[str]:
    """Where this program and the SDK read different organizations. `other` signs tokens that neither accepts."""
    claims = session_claims(count, seed)
    refused = [{**claims[0], "exp": 1}, {**claims[1], "nbf": 2**33}]
    tokens = [*signed(issuer, claims), *signed(issuer, refused), *signed(other, claims[:2])]
    here, there = await read_here(issuer, tokens), read_by_sdk(issuer, tokens)
    found = []
    for token, ours, theirs in zip(tokens, here, there, strict=True):
        if any(_plain(ours) != _plain(each) for each in theirs):
            stated = pyjwt.decode(token, options={"verify_signature": False})
            found.append(f"{ours} here, {theirs} by the SDK: {json.dumps(stated)}")
    if any(read is not None for read in here[count:]) or any(read is None for read in here[:count]):
        found.append("a good token is refused, or a bad one is accepted")
    return found


def _plain(read: Read) -> Read:
    return None if read is None else [*read[:3], sorted(set(read[3]))]
