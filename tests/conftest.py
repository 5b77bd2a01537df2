"""The fixtures that most tests share: real issuers, and a real server that trusts one of them."""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.db.engine import open_engine
from app.db.session import Sessions, sessions_of
from tests.support.breakable import BreakablePostgres
from tests.support.certificate import make
from tests.support.cluster import directory_in_memory
from tests.support.databases import KINDS, Kind, Postgres
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import Server, database_copy, prepared_database
from tests.support.static_site import StaticSite, static_site


def pytest_configure() -> None:
    """Spare processes work that each would repeat.

    Bytecode is written, whatever the environment says: without it each process compiles what it imports. A single
    authority is trusted, which signs nothing: each httpx client reads all of them, which takes 28 ms.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    directory = tempfile.mkdtemp(prefix="authz-ca-")
    atexit.register(shutil.rmtree, directory)
    os.environ["SSL_CERT_FILE"] = str(make(Path(directory)).certificate)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the gateway tests first: one of them waits half a minute, and the others run in parallel to it.

    Then come the files of this directory, whose tests are the longest, so that none of them is the last. Raises
    UsageError for an id with the address of an object: processes of pytest-xdist refuse ids that differ between them.
    """
    if differing := next((item.nodeid for item in items if " at 0x" in item.nodeid), None):
        raise pytest.UsageError(f"the id of {differing} differs in each process: state `ids`")
    items.sort(
        key=lambda item: (
            not item.nodeid.startswith("tests/gateway/"),
            item.nodeid.count("/", 0, item.nodeid.find("::")) > 1,
        )
    )


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server, started for the first test that needs it."""
    # It would visit hundreds of databases again and again, all of which are used for a moment only.
    started = Postgres(directory_in_memory(), settings=["autovacuum=off", "max_wal_size=128MB"])
    yield started
    started.stop()


@pytest.fixture(scope="session")
def breakable() -> Iterator[BreakablePostgres]:
    """A second PostgreSQL server, for tests that stop, pause or kill it."""
    with BreakablePostgres(place=directory_in_memory()) as started:
        yield started


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The kind of database: a test that uses this fixture, `url` or `sessions` runs on both."""
    found: Kind = request.param
    return found


@pytest.fixture
def url(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an upgraded database."""
    if kind == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new(prepared=True)
        yield url
        postgres.drop(url)
    else:
        shutil.copy(prepared_database(), tmp_path / "authz.db")
        yield f"sqlite:///{tmp_path / 'authz.db'}"


@pytest.fixture
async def sessions(url: str) -> AsyncIterator[Sessions]:
    """Sessions of that database."""
    engine = open_engine(url)
    yield sessions_of(engine)
    await engine.dispose()


@pytest.fixture(scope="session")
def issuer() -> Iterator[LiveIssuer]:
    """The issuer that servers trust."""
    with LiveIssuer() as started:
        yield started


@pytest.fixture(scope="session")
def untrusted_issuer() -> Iterator[LiveIssuer]:
    """An issuer that is not trusted."""
    with LiveIssuer() as started:
        yield started


@pytest.fixture(scope="session")
def server(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the shipped policy, for tests that do not change the policy."""
    with _server(issuer, tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def own_server(issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which may edit its policy, stop it or break it."""
    with _server(issuer, tmp_path) as started:
        yield started


@pytest.fixture(scope="session")
def other_origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StaticSite]:
    """A site whose pages may call `sample_server`."""
    with static_site(tmp_path_factory.mktemp("other_origin")) as started:
        yield started


@pytest.fixture(scope="session")
def sample_server(
    issuer: LiveIssuer, other_origin: StaticSite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server with the shipped policy and sample data."""
    server = Server(
        tmp_path_factory.mktemp("sample_server"),
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        allowed_origins=other_origin.url,
    )
    from tests.support.sample_data import fill  # noqa: PLC0415  # its imports would add a fifth to those of each run

    # In a thread of its own, since the event loop of a browser may run in this one.
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, fill(database_copy(server.directory))).result()
    with server:
        yield server


def _server(issuer: LiveIssuer, directory: Path) -> Server:
    return Server(
        directory, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, organizations="clerk"
    )
