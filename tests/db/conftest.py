"""Tests of this directory run on both databases, except those about one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.databases import Kind


@pytest.fixture
def empty(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    if kind == "postgresql":
        url: str = request.getfixturevalue("postgres").new(prepared=False)
        return url
    return f"sqlite:///{tmp_path / 'a %20 name.db'}"
