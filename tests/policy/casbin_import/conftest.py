"""What each import of these tests writes, notes and refuses, as recorded in `imports.json`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.policy.casbin_import import importing
from tests.policy.records import Records

_MAX_LINES = 40  # of a test


@pytest.fixture(scope="session")
def imports() -> Iterator[Records]:
    """The recorded imports."""
    records = Records(Path(__file__).with_name("imports.json"))
    yield records
    records.write()


@pytest.fixture(autouse=True)
def recorded_imports(request: pytest.FixtureRequest, imports: Records) -> Iterator[None]:
    """Compare the imports of a test with the recorded ones."""
    importing.RESULTS.clear()
    yield
    if importing.RESULTS:
        imports.compare(request, list(dict.fromkeys(importing.RESULTS))[:_MAX_LINES])
