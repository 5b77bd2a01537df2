"""A local issuer's key: signs tokens like the real one's, and is published as a key set."""

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
    """Mints RS256 tokens and tells its key set. For development alone: it signs whatever it is asked to."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        public: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
        self.kid = _thumbprint(public)
        self._jwk = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.kid, "n": public["n"], "e": public["e"]}

    @classmethod
    def load(cls, directory: Path) -> Self:
        """The issuer whose key lies in `directory`; the key is made, for its owner alone, when there is none."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = directory / KEY_FILE
        if not file.exists():
            _create(file)
        key = serialization.load_pem_private_key(file.read_bytes(), password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{file} holds no RSA key: delete it, and a new one is made")
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
        """A signed token that is good for `ttl_seconds`."""
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
    """Write a new key aside and link it in place: of two processes, both end up with the same one."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(pem)
    with suppress(FileExistsError):
        os.link(aside, file)
    aside.unlink()


def _thumbprint(public: dict[str, Any]) -> str:
    """RFC 7638: a name that follows from the key."""
    members = json.dumps({"e": public["e"], "kty": "RSA", "n": public["n"]}, separators=(",", ":"), sort_keys=True)
    return urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()
