"""Keys beyond their owner, by the roles of the owner and the last token in the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.audit.batch import Batch
from app.audit.record import decision_key
from app.db.decision_writer import DecisionWriter
from app.db.session import Sessions
from app.identity.api_keys import mint
from app.identity.principal import user_principal
from app.keys import api_keys
from app.keys.beyond_owners import KeyBeyondOwner, of_all
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason
from tests.policy.small import snapshot

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)
POLICY = snapshot("p, a:read, /x, GET, allow", "g, user:ann, role:reader", "g, role:reader, a:read")


async def _issue(sessions: Sessions, subject: str, *scopes: str, token_grants: list[str] | None, ends: int = 1) -> int:
    async with sessions() as session:
        key = await api_keys.insert(
            session,
            subject=subject,
            name="k",
            new=mint("live"),
            scopes=scopes,
            now=NOW - timedelta(days=2),
            expires_at=NOW + timedelta(days=ends),
            token_grants=token_grants,
        )
        await session.commit()
        return key.id


async def _log_request(sessions: Sessions, subject: str, *permissions: str) -> None:
    """Log a request with a token with these permissions."""
    batch = Batch()
    decision = Decision(False, Reason.NOT_HELD, "r")
    index = batch.key_index(decision_key("app", "/x", "GET", user_principal(subject, permissions, {}), decision))
    batch.add(int(datetime.now(UTC).timestamp() * 1_000_000_000), 1, "r", None, index)
    await DecisionWriter(sessions).write(batch)


async def _found(sessions: Sessions, owner: str | None = None) -> dict[int, KeyBeyondOwner]:
    keys = of_all(sessions, POLICY, environments=["live"], now=NOW, owner=owner)
    return {each.id: each async for each in keys}


async def test_keys_beyond_their_owner_are_found(sessions: Sessions) -> None:
    by_role = await _issue(sessions, "ann", "a:read", token_grants=[])
    lost = await _issue(sessions, "bob", "a:read", "b:read", token_grants=["b:read"])
    old = await _issue(sessions, "cid", "a:read", token_grants=None)
    ended = await _issue(sessions, "cid", "a:read", token_grants=None, ends=-1)
    found = await _found(sessions)
    assert by_role not in found
    assert ended not in found
    assert (found[lost].counting, found[lost].lost, found[lost].token_seen) == (("b:read",), ("a:read",), None)
    assert (found[old].counting, found[old].lost) == (("a:read",), ())
    assert list(await _found(sessions, "bob")) == [lost]

    await _log_request(sessions, "bob", "b:read")
    await _log_request(sessions, "cid", "a:read")
    found = await _found(sessions)
    assert (found[lost].counting, found[lost].lost) == ((), ("a:read",))
    assert old not in found

    await _log_request(sessions, "cid", "c:read")
    found = await _found(sessions)
    assert found[old].counting == ("a:read",)
    assert found[old].token_seen is not None
