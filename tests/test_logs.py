"""The configuration of the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from app import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The configuration of the log is that of the process: each test gives it back."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level, renderer = root.handlers[:], root.level, logs.console_renderer
    yield
    structlog.configure(**before)
    root.handlers[:], root.level, logs.console_renderer = handlers, level, renderer


def test_a_logger_that_has_logged_follows_a_later_configuration() -> None:
    log = structlog.stdlib.get_logger("tests")
    logs.configure("info", "json")
    log.info("first")
    logs.configure("info", "json")
    with capture_logs() as lines:
        log.info("second")
    assert [line["event"] for line in lines] == ["second"]
