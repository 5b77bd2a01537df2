"""The verifier of apps' access tokens: its checks of records, and the tags by which its cache is invalidated."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.audit.sanitize import without_secrets, without_whole_secrets
from app.identity.access_token_verifier import AccessTokenRecord, AccessTokenVerifier, AppRecord
from app.identity.bearer import parse_bearer_token
from app.identity.errors import Unauthenticated
from app.identity.oauth_tokens import has_shape, mint_token
from app.identity.token_format import TokenKind

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
PREFIXES: dict[TokenKind, str] = {"access": "grd_oat_", "refresh": "grd_ort_", "code": "grd_oac_", "secret": "grd_ocs_"}
RECORD = AccessTokenRecord(
    grant_id=1,
    tags=("family:1", "grant:1", "app:1", "person:1"),
    subject="user_ann",
    app=AppRecord("app_1", "registered", "app.example"),
    scopes=frozenset({"a:read"}),
    permissions=frozenset({"a:read"}),
    resource="https://api.example",
    expires_at=NOW + timedelta(minutes=15),
    is_ended=False,
)


class Tokens:
    """Stored tokens, and a verifier that counts its look-ups."""

    def __init__(self, **settings: Any) -> None:
        self.records: dict[bytes, AccessTokenRecord] = {}
        self.asked = 0
        self.used: list[int] = []
        self.verifier = AccessTokenVerifier(
            self._find, cache_seconds=60, on_accepted=self.used.append, clock=lambda: 0.0, now=lambda: NOW, **settings
        )

    async def _find(self, digest: bytes) -> AccessTokenRecord | None:
        self.asked += 1
        return self.records.get(digest)

    def add(self, **changes: Any) -> str:
        token = mint_token("access")
        self.records[hashlib.sha256(token.encode()).digest()] = replace(RECORD, **changes)
        return token

    async def cause(self, token: str) -> str | None:
        """Why a token is refused; None if it is accepted."""
        try:
            credential = self.verifier.parse(token)
            assert self.verifier.cached(credential) or await self.verifier.look_up(credential)
        except Unauthenticated as refused:
            return refused.code
        return None


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, None),
        ({"is_ended": True}, "token_revoked"),
        ({"expires_at": NOW}, "expired"),
        ({"is_ended": True, "expires_at": NOW}, "token_revoked"),
        ({"app": AppRecord("an app", "registered", "")}, "invalid_app"),
        ({"app": AppRecord("app_1", "registered", "APP.example")}, "invalid_app"),
        ({"subject": ""}, "invalid_app"),
        ({"subject": "", "is_ended": True}, "token_revoked"),
        ({"expires_at": NOW + timedelta(microseconds=1)}, None),
    ],
)
async def test_a_record_decides(changes: dict[str, Any], cause: str | None) -> None:
    tokens = Tokens()
    token = tokens.add(**changes)
    for _ in range(2):  # looked up, and cached
        assert await tokens.cause(token) == cause
    assert tokens.asked == 1
    assert tokens.used == ([] if cause else [1, 1])


@pytest.mark.parametrize("tag", RECORD.tags)
async def test_a_tag_invalidates_every_token_that_has_it(tag: str) -> None:
    tokens = Tokens()
    own = [tokens.add() for _ in range(3)]
    others = [tokens.add(tags=tuple(f"{each}0" if each == tag else each for each in RECORD.tags)) for _ in range(2)]
    for token in (*own, *others):
        assert await tokens.cause(token) is None
    tokens.verifier.invalidate("family:9")
    tokens.verifier.invalidate(tag)
    assert len(tokens.verifier.cache) == 2
    for token in others:
        assert await tokens.cause(token) is None
    assert tokens.asked == 5
    for token in own:
        assert await tokens.cause(token) is None
    assert tokens.asked == 8


async def test_evicted_tokens_leave_no_tags() -> None:
    tokens = Tokens(max_cached=3)
    for number in range(10):
        assert await tokens.cause(tokens.add(tags=(f"family:{number}", "app:1"))) is None
        assert tokens.verifier.cache.tags == min(number + 1, 3) + 1
    tokens.verifier.invalidate("app:1")
    assert (len(tokens.verifier.cache), tokens.verifier.cache.tags) == (0, 0)


async def test_only_access_tokens_are_looked_up() -> None:
    tokens = Tokens()
    kinds: tuple[TokenKind, ...] = ("refresh", "code", "secret")
    for token in map(mint_token, kinds):
        assert await tokens.cause(token) == "no_access_token"
    good = tokens.add()
    for token in (good[:-1], f"{good}0", good.upper(), f" {good}", good + "\n", "grd_oat_" + "g" * 48):
        assert await tokens.cause(token) in ("malformed_app_token", "no_access_token"), token
    assert tokens.asked == 0
    assert await tokens.cause(mint_token("access")) == "unknown_app_token"


def test_no_log_shows_a_token_of_an_app() -> None:
    for kind, prefix in PREFIXES.items():
        token = mint_token(kind)
        assert has_shape(token, kind)
        for text in (token, token.upper(), token[:20], f"code={token}&state=x", token.replace("_", "%5F")):
            assert token[12:20] not in without_secrets(text).lower(), text
            assert token[12:20] not in without_whole_secrets(text).lower(), text
        assert without_secrets(f"see {prefix}") == f"see {prefix}"


def test_a_token_of_an_app_that_is_too_long_is_an_invalid_token() -> None:
    for prefix in (*PREFIXES.values(), "grd_live_"):
        with pytest.raises(Unauthenticated) as refused:
            parse_bearer_token(b"Bearer " + prefix.encode() + b"a" * 20_000)
        assert refused.value.code == ("key_malformed" if prefix == "grd_live_" else "too_long")
