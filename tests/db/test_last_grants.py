"""The last grants of a user's token are found by the index, regardless of later uses of keys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.audit.batch import Batch
from app.audit.record import Record, grant_set
from app.db.decision_writer import DecisionWriter
from app.db.engine import open_engine
from app.db.last_grants import last_grants
from app.db.migrate import upgrade
from app.db.session import sessions_of
from app.identity.principal import Method
from tests.db.records import RECORD, varied

pytestmark = pytest.mark.anyio


def record(at: int, subject: str, *grants: str, method: Method = "jwt", key_id: int | None = None) -> Record:
    grants_held = grant_set(frozenset({"anyone", f"auth:{method}", "user:", *grants}))
    return varied(RECORD, at=at, request_id=f"r{at}", subject=subject, method=method, key_id=key_id, grants=grants_held)


async def test_the_last_grants_are_those_of_the_newest_token(empty: str) -> None:
    await upgrade(empty)
    engine = open_engine(empty)
    sessions = sessions_of(engine)
    now = int(datetime.now(UTC).timestamp() * 1_000_000)
    records = [
        record(now - 5_000, "user_a", "catalog:read"),
        record(now - 4_000, "user_a", "catalog:read", "a permission"),
        record(now - 3_900, "user_b", "holdings:read"),
        record(now - 3_800, "user_a", "keys:read", method="api_key", key_id=7),
        varied(record(now - 3_700, "user_a", "keys:write"), grants=None),
        # In an AuthZEN evaluation the service states the grants of the user, not a token.
        varied(record(now - 3_600, "user_a", "keys:write"), door="authzen"),
        varied(record(now - 3_600, "user_d", "keys:write"), door="authzen"),
        *(record(now - 3_000 + number, "user_c", method="api_key", key_id=8) for number in range(2_000)),
        record(now - 3_500, "user_c", "catalog:read"),
    ]
    await DecisionWriter(sessions).write(Batch.of(records))
    async with sessions() as session:
        found = await last_grants(session, "user_a")
        assert found
        assert found.held == {"anyone", "auth:jwt", "user:user_a", "catalog:read", "a permission"}
        assert round(found.seen.timestamp() * 1_000_000) == now - 4_000
        found = await last_grants(session, "user_c")
        assert found, "whatever its keys did since"
        assert found.held == {"anyone", "auth:jwt", "user:user_c", "catalog:read"}
        assert await last_grants(session, "user_d") is None
    await engine.dispose()
