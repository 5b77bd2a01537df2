"""Fixtures for tests that run on each kind of server."""

from __future__ import annotations

from typing import get_args

import pytest

from app.settings import ServerName


@pytest.fixture(params=get_args(ServerName))
def on(request: pytest.FixtureRequest) -> str:
    """The kind of server: a test that uses this fixture runs on both."""
    return str(request.param)
