"""A server that gives tokens to apps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.console.conftest import console, console_server
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

__all__ = ["console"]
PUBLIC_URL = "https://api.example"


@pytest.fixture(scope="session")
def app_server(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the shipped policy, for tests that do not change the policy."""
    with console_server(issuer, tmp_path_factory.mktemp("apps"), public_url=PUBLIC_URL) as started:
        yield started
