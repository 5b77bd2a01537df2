"""The policy directory is polled if the system cannot report changes."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.policy.engine import watch as watching
from app.policy.engine.live import LivePolicy
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import files


@pytest.mark.anyio
async def test_files_are_polled_without_notifications_and_this_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in files("p, a:read, /x, GET, allow").items():
        (tmp_path / name).write_bytes(content)
    tries = 0

    def no_instances(*_: object, **__: object) -> Any:
        nonlocal tries
        tries += 1
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(watching, "awatch", no_instances)
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.01)
    live = LivePolicy(tmp_path, RouteTable([Route("/x", "GET")]))
    before = live.active.revision
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        task = asyncio.create_task(watching.watch(live, stop))
        while tries < 3:  # each after a minute's polls
            await asyncio.sleep(0.01)
        assert sum(live.reloads.values()) == 1, "that at the start: files that did not change are not loaded again"
        (tmp_path / "rows.csv").write_text("p, b:read, /x, GET, allow\n# end\n")
        async with asyncio.timeout(10):
            while live.active.revision == before:
                await asyncio.sleep(0.01)
        stop.set()
        await task
    warnings = [line for line in lines if line["log_level"] in ("warning", "error")]
    assert [line["event"] for line in warnings] == [
        "the policy directory cannot be watched and is polled every second instead"
    ]
    assert "Too many open files" in warnings[0]["error"]
