"""Each test of this folder runs on both databases, but for those that are about one of them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db.engine import open_engine
from app.db.session import Sessions, sessions_of
from tests.databases import KINDS, Kind
from tests.server import prepared_database


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which database."""
    found: Kind = request.param
    return found


@pytest.fixture
def empty(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database that was never upgraded."""
    if kind == "postgresql":
        url: str = request.getfixturevalue("postgres").new(prepared=False)
        return url
    return f"sqlite:///{tmp_path / 'a %20 name.db'}"


@pytest.fixture
def url(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """The URL of a database that is ready."""
    if kind == "postgresql":
        url: str = request.getfixturevalue("postgres").new(prepared=True)
        return url
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    return f"sqlite:///{tmp_path / 'authz.db'}"


@pytest.fixture
async def sessions(url: str) -> AsyncIterator[Sessions]:
    """Sessions on that."""
    engine = open_engine(url)
    yield sessions_of(engine)
    await engine.dispose()
