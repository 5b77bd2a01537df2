"""The secret of a confidential app: minting one, and what is stored of it."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

PREFIX = "grd_ocs_"
_SECRET_BYTES = 24


@dataclass(frozen=True, slots=True)
class MintedSecret:
    """A new secret. `plaintext` is shown once and never stored; `digest` is its SHA-256."""

    plaintext: str = field(repr=False)
    digest: bytes = field(repr=False)


def mint_secret() -> MintedSecret:
    """A new secret with 192 random bits, which need no slow hash."""
    plaintext = PREFIX + secrets.token_hex(_SECRET_BYTES)
    return MintedSecret(plaintext, hashlib.sha256(plaintext.encode()).digest())
