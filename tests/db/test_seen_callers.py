"""Known callers are those with verified credentials, not subjects of AuthZEN questions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.audit.batch import Batch
from app.audit.record import Record
from app.db.decision_writer import DecisionWriter
from app.db.seen_callers import seen_callers
from app.db.session import Sessions
from app.db.tables.keys import ApiKey
from app.identity.principal import Method
from tests.db.records import RECORD, varied

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)


def record(subject: str, method: Method | None = "jwt", *, door: str = "app", key_id: int | None = None) -> Record:
    at = int(NOW.timestamp() * 1_000_000)
    return varied(RECORD, at=at, door=door, subject=subject, method=method, key_id=key_id, allowed=False)


def key(number: int, **times: Any) -> ApiKey:
    return ApiKey(
        id=number,
        subject="owner",
        name="k",
        environment="live",
        key_prefix="grd_live_00000000",
        digest=number.to_bytes(32, "big"),
        scopes=[],
        created_at=NOW,
        **times,
    )


async def test_verified_tokens_and_used_active_keys_are_known(sessions: Sessions) -> None:
    records = [
        record("ann"),
        record("auth0|bob", door="gateway"),
        record("asked", door="authzen"),
        record("owner", "api_key", key_id=1),
        record("anonymous", "anonymous"),
        record("refused", None),
        record("owner", "api_key", key_id=4),
        record("owner", "api_key", key_id=6, door="authzen"),
        record("owner", "api_key", key_id=9),
    ]
    await DecisionWriter(sessions).write(Batch.of(records))
    soon = NOW + timedelta(hours=1)
    async with sessions() as session:
        session.add_all(
            [
                key(1, expires_at=soon),
                key(2, last_used_at=NOW),
                key(3),
                key(4, revoked_at=NOW),
                key(5, last_used_at=NOW, expires_at=NOW),
                key(6),
            ]
        )
        await session.commit()
    users = {f"user:{name}" for name in ("ann", "auth0|bob", "asked", "owner", "anonymous", "refused", "an", "ghost")}
    keys = {f"key:{number}" for number in (1, 2, 3, 4, 5, 6, 9, 10**18, 10**19 - 1)}
    async with sessions() as session:
        assert await seen_callers(session, users | keys) == {"user:ann", "user:auth0|bob", "key:1", "key:2"}
        assert await seen_callers(session, ()) == frozenset()


async def test_the_number_of_known_callers_is_bounded(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real limit of a thousand would take a thousand queries."""
    monkeypatch.setattr("app.db.seen_callers.MAX_FACTS", 20)
    await DecisionWriter(sessions).write(Batch.of([record("zoe"), record("a00")]))
    async with sessions() as session:
        many = [f"user:a{number:02}" for number in range(20)]
        assert await seen_callers(session, [*many[:-1], "user:zoe"]) == {"user:a00", "user:zoe"}
        assert await seen_callers(session, [*many, "user:zoe"]) == {"user:a00"}
