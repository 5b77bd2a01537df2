"""Fixtures of the tests of the decision log."""

from __future__ import annotations

import pytest

from tests.audit.stores import Store


@pytest.fixture
def store() -> Store:
    return Store()
