"""Tests of this directory run on both databases, except those about one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.databases import Kind, Postgres


@pytest.fixture
def empty(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database."""
    if kind == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new(prepared=False)
        yield url
        postgres.drop(url)
    else:
        yield f"sqlite:///{tmp_path / 'a %20 name.db'}"
