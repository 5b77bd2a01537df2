"""Authorization codes, each valid once, for a minute, for one client, redirect URI and code verifier."""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256

from app.dev.people import SampleUser
from app.dev.wire import IssuerError

LIFETIME_SECONDS = 60.0
_MAX_CODES = 1000


@dataclass(frozen=True, slots=True)
class Grant:
    """The sign-in of a person for a client. `challenge` is the base64url SHA-256 of the client's code verifier."""

    person: SampleUser
    client_id: str
    redirect: str
    challenge: str
    nonce: str | None
    scope: str


@dataclass(slots=True)
class Codes:
    """The unused codes. `clock` is monotonic, in seconds."""

    clock: Callable[[], float] = time.monotonic
    _open: dict[str, tuple[Grant, float]] = field(default_factory=dict)

    def issue(self, grant: Grant) -> str:
        """Issue a code for a grant."""
        while len(self._open) >= _MAX_CODES:
            del self._open[next(iter(self._open))]
        code = secrets.token_urlsafe(32)
        self._open[code] = grant, self.clock() + LIFETIME_SECONDS
        return code

    def redeem(self, code: str, verifier: str) -> Grant:
        """Return the grant of a code, which cannot be used again even if the verifier is wrong. Raises IssuerError."""
        grant, until = self._open.pop(code, (None, 0.0))
        if grant is None or self.clock() >= until:
            raise IssuerError("invalid_grant", "The code is unknown, used, or older than a minute.")
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if not hmac.compare_digest(challenge.encode(), grant.challenge.encode()):
            raise IssuerError("invalid_grant", "The code verifier does not match the challenge.")
        return grant
