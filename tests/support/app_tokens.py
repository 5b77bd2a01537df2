"""A verifier for applications whose tests have no tokens of third-party apps."""

from __future__ import annotations

from app.identity.access_token_verifier import AccessTokenRecord, AccessTokenVerifier


async def _find(_: bytes) -> AccessTokenRecord | None:
    return None


NO_APPS = AccessTokenVerifier(_find, cache_seconds=0, on_accepted=lambda _: None)
