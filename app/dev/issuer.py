"""The signing key of the local issuer."""

from __future__ import annotations

import hashlib
import json
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

KEY_FILE = "signing-key.pem"
JWKS_PATH = "/.well-known/jwks.json"
_BITS = 2048


class Issuer:
    """Signs RS256 tokens and publishes its key set. For development only: it signs any claims."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        public: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.kid = _thumbprint(public)
        self._jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": public["n"], "e": public["e"]}

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Load the key in `directory`, or generate one that only the owner of the file can read."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = directory / KEY_FILE
        if not file.exists():
            _create(file)
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{file} is not an RSA key: delete it to generate a new one")
        return cls(key)

    def mint(
        self,
        subject: str,
        permissions: Iterable[str],
        *,
        issuer: str,
        audience: str,
        ttl_seconds: int,
        **claims: object,
    ) -> str:
        """Sign a token that is valid for `ttl_seconds`."""
        now = int(time.time())
        payload = {
            "iss": issuer,
            "aud": audience,
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + ttl_seconds,
            "permissions": list(permissions),
            **claims,
        }
        return jwt.encode(payload, self._key, algorithm="RS256", headers={"kid": self.kid})

    def jwks(self) -> dict[str, Any]:
        """The key set (RFC 7517 section 5)."""
        return {"keys": [self._jwk]}


def _create(file: Path) -> None:
    """Generate a key in a temporary file and link it in place, so that two processes end up with the same key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as output:
        output.write(pem)
    with suppress(FileExistsError):
        os.link(temporary, file)
    temporary.unlink()


def _thumbprint(public: dict[str, Any]) -> str:
    """The thumbprint of a public key (RFC 7638)."""
    members = json.dumps({"e": public["e"], "kty": "RSA", "n": public["n"]}, separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()
