"""Many concurrent health checks of a process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.http.api.health import DatabaseProbe

pytestmark = pytest.mark.anyio


async def test_many_concurrent_health_checks_are_answered(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'authz.db'}")
    probe = DatabaseProbe(sessions_of(engine))

    async def ask() -> list[str]:
        return [await probe.error() for _ in range(5)]

    try:
        assert await asyncio.gather(*(ask() for _ in range(5))) == [[""] * 5] * 5
    finally:
        await engine.dispose()
