"""What tests of keys and tokens ask for: an issuer to break, and a clock to turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.identity.clock import Clock
from tests.support.issuer import LiveIssuer


@pytest.fixture
def own() -> Iterator[LiveIssuer]:
    """An issuer to break."""
    with LiveIssuer() as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    """The clock of a key set, to turn."""
    return Clock()
