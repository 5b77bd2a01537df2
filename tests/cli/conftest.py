"""What tests of the program ask for: that a thing holds on either kind of server."""

from __future__ import annotations

from typing import get_args

import pytest

from app.settings import ServerName


@pytest.fixture(params=get_args(ServerName))
def on(request: pytest.FixtureRequest) -> str:
    """The server that serves; a test that asks for it runs on both."""
    return str(request.param)
