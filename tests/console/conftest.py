"""A server with a console."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.console.sessions import CONSOLE_URL
from tests.issuer import PARTY, LiveIssuer
from tests.server import Server


@pytest.fixture(scope="session")
def console(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the shipped policy and the console, for tests that leave the policy alone."""
    with Server(
        tmp_path_factory.mktemp("console"),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        console_client_id="console",
        console_url=CONSOLE_URL,
    ) as started:
        yield started
