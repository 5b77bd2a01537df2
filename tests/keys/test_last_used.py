"""The background task that writes the last use of keys, about once a minute for each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
import structlog
from sqlalchemy import event, select, text
from sqlmodel import col
from structlog.testing import LogCapture

from app.db.session import Sessions
from app.db.tables.keys import ApiKey
from app.identity.api_keys import mint
from app.keys import api_keys
from app.keys.last_used import LastUsed

pytestmark = pytest.mark.anyio


@pytest.fixture
async def sessions(sessions: Sessions) -> Sessions:
    """Sessions of a database with five keys."""
    async with sessions() as session:
        for number in range(5):
            now = datetime(2025, 1, 1, tzinfo=UTC)
            new = mint("live")
            await api_keys.insert(session, subject="user", name=f"{number}", new=new, scopes=[], now=now)
        await session.commit()
    return sessions


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[structlog.typing.EventDict]:
    """The log lines of the writer."""
    capture = LogCapture()
    levels = structlog.make_filtering_bound_logger(0)
    logger = structlog.wrap_logger(None, processors=[capture], wrapper_class=levels)
    monkeypatch.setattr("app.keys.last_used._log", logger)
    return capture.entries


async def _used(sessions: Sessions) -> dict[int, datetime]:
    async with sessions() as session:
        rows = await session.scalars(select(ApiKey).where(col(ApiKey.last_used_at).is_not(None)))
        return {key.id: key.last_used_at for key in rows if key.last_used_at}


def _count_updates(sessions: Sessions) -> list[str]:
    updates: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("UPDATE"):
            updates.append(statement)

    event.listen(sessions.kw["bind"].sync_engine, "before_cursor_execute", note)
    return updates


async def _until_written(sessions: Sessions, ids: set[int]) -> None:
    async with asyncio.timeout(5):
        while set(await _used(sessions)) != ids:
            await asyncio.sleep(0.01)


async def test_uses_are_written_while_it_runs(sessions: Sessions) -> None:
    before = datetime.now(UTC)
    async with LastUsed(sessions, every_seconds=0.01) as last_used:
        last_used.note_use(1)
        last_used.note_use(3)
        await _until_written(sessions, {1, 3})
        last_used.note_use(2)
        await _until_written(sessions, {1, 2, 3})
    assert all(before <= value <= datetime.now(UTC) for value in (await _used(sessions)).values())


async def test_pending_uses_are_written_at_the_stop(sessions: Sessions) -> None:
    async with LastUsed(sessions, every_seconds=3600) as last_used:
        last_used.note_use(4)
        await asyncio.sleep(0.05)
        assert await _used(sessions) == {}
    assert set(await _used(sessions)) == {4}


async def test_a_key_in_constant_use_is_written_once_a_minute(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = _count_updates(sessions)
    clock = 1000.0
    monkeypatch.setattr("app.keys.last_used.monotonic", lambda: clock)
    last_used = LastUsed(sessions)
    for _ in range(100):
        last_used.note_use(1)
    assert await last_used.flush()
    for _ in range(100):
        last_used.note_use(1)
        assert await last_used.flush()
    assert len(updates) == 1
    clock += 59.9
    last_used.note_use(1)
    assert await last_used.flush()
    assert len(updates) == 1
    clock += 0.1
    last_used.note_use(1)
    assert await last_used.flush()
    assert len(updates) == 2


async def test_many_keys_are_written_together_and_the_cache_is_bounded(sessions: Sessions) -> None:
    updates = _count_updates(sessions)
    last_used = LastUsed(sessions, limit=2)
    for key_id in (1, 2, 3):
        last_used.note_use(key_id)
    assert await last_used.flush()
    assert len(updates) == 1
    assert await last_used.flush()
    assert set(await _used(sessions)) == {1, 2, 3}
    assert len(updates) == 2
    for key_id in (1, 2, 3):
        last_used.note_use(key_id)
    assert await last_used.flush()  # one of three keys was evicted, and is written again
    assert len(updates) == 3


async def test_stopping_writes_more_than_fits_into_one_statement(sessions: Sessions) -> None:
    async with LastUsed(sessions, every_seconds=3600, limit=2) as last_used:
        for key_id in (1, 2, 3, 4, 5):
            last_used.note_use(key_id)
    assert set(await _used(sessions)) == {1, 2, 3, 4, 5}


async def test_a_failing_database_is_logged_and_retried(
    sessions: Sessions, logs: list[structlog.typing.EventDict]
) -> None:
    async def execute(statement: str) -> None:
        async with sessions() as session:
            await session.execute(text(statement))
            await session.commit()

    await execute("ALTER TABLE api_keys RENAME TO hidden")
    async with LastUsed(sessions, every_seconds=0.01) as last_used:
        last_used.note_use(1)
        async with asyncio.timeout(5):
            while len(logs) < 3:
                await asyncio.sleep(0.01)
        last_used.note_use(2)
        await execute("ALTER TABLE hidden RENAME TO api_keys")
        await _until_written(sessions, {1, 2})
    failures = [log for log in logs if log["event"] == "last use of API keys not written yet"]
    assert len(failures) >= 3
    assert all(log["log_level"] == "error" and log["exc_info"] and log["keys"] in (1, 2) for log in failures)


async def test_a_loss_at_the_stop_is_logged(sessions: Sessions, logs: list[structlog.typing.EventDict]) -> None:
    async with sessions() as session:
        await session.execute(text("DROP TABLE api_keys"))
        await session.commit()
    async with LastUsed(sessions, every_seconds=3600) as last_used:
        last_used.note_use(1)
        last_used.note_use(2)
    assert logs[-1] == {"event": "last use of API keys is lost", "log_level": "error", "keys": 2}
