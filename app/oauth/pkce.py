"""Proof Key for Code Exchange (RFC 7636) with S256."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from hashlib import sha256

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


def is_challenge(text: str) -> bool:
    """Whether a text can be the challenge of a verifier."""
    return _CHALLENGE.fullmatch(text) is not None


def is_verifier_of(verifier: str, challenge: str) -> bool:
    """Whether a verifier belongs to a challenge."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    expected = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
    return hmac.compare_digest(expected, challenge.encode())
