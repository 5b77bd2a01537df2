"""The clients under test, and a decision point."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.asking import Client, PythonClient, TypeScriptClient
from tests.clients.failing_server import FailingServer
from tests.clients.griddy_package import python_package, typescript_package
from tests.clients.sdk_callers import Caller, NodeCaller, call_async, call_sync


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


@pytest.fixture(scope="session")
def failing() -> Iterator[FailingServer]:
    """A server that fails as a test says."""
    with FailingServer() as started:
        yield started


@pytest.fixture(scope="session")
def installed() -> Path:
    """A directory in which nothing but the SDK for TypeScript is installed."""
    return typescript_package()


@pytest.fixture(scope="session")
def sdk_python() -> Path:
    """The interpreter of an environment in which nothing but the SDK for Python is installed."""
    return python_package()


@pytest.fixture(scope="session")
def node_griddy(installed: Path) -> Iterator[NodeCaller]:
    """A Node that runs the SDK for TypeScript."""
    caller = NodeCaller(installed)
    yield caller
    assert caller.stop() == (0, "")


@pytest.fixture(params=["sync", "async", "typescript"])
def griddy(request: pytest.FixtureRequest) -> Caller:
    """Each client of the SDKs in turn."""
    if request.param == "typescript":
        caller: Caller = request.getfixturevalue("node_griddy")
        return caller
    return call_sync if request.param == "sync" else call_async
