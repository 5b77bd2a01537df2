"""The clients under test, and a decision point."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clients.asking import Client, PythonClient, TypeScriptClient


@pytest.fixture(scope="session")
def node() -> Iterator[TypeScriptClient]:
    """A Node that runs the TypeScript client."""
    started = TypeScriptClient()
    yield started
    assert started.stop() == 0


@pytest.fixture(params=["python", "typescript"])
def client(request: pytest.FixtureRequest) -> Client:
    """Each client in turn."""
    if request.param == "python":
        return PythonClient()
    started: Client = request.getfixturevalue("node")
    return started
