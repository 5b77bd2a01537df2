"""The health checks of a process, asked by many at the same time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.http.api.health import DatabaseProbe

pytestmark = pytest.mark.anyio


async def test_each_of_many_callers_that_ask_again_and_again_has_an_answer(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'authz.db'}")
    probe = DatabaseProbe(sessions_of(engine))

    async def ask() -> list[str]:
        return [await probe.error() for _ in range(5)]

    try:
        assert await asyncio.gather(*(ask() for _ in range(5))) == [[""] * 5] * 5
    finally:
        await engine.dispose()
