"""Fixtures for tests of keys and tokens: an issuer that a test may break, and a clock."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.identity.clock import Clock
from tests.support.issuer import LiveIssuer


@pytest.fixture
def own() -> Iterator[LiveIssuer]:
    """An issuer that a test may break."""
    with LiveIssuer() as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    """The clock of a key set."""
    return Clock()
