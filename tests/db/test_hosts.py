"""Several hosts: the first writable one is used, and a read-only one still serves reads."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote

import pytest
from sqlalchemy import text

from app.db.engine import open_engine
from app.db.errors import DatabaseUnavailable, ReadOnlyDatabase
from app.db.session import Sessions, answers, sessions_of
from tests.support.breakable import BreakablePostgres
from tests.support.databases import Postgres

pytestmark = pytest.mark.anyio

Opened = Callable[[str], Sessions]


@pytest.fixture(scope="module")
def places(postgres: Postgres, breakable: BreakablePostgres) -> dict[str, str]:
    """Two servers with a database of the same name, which is read-only on the first."""
    first = postgres.new(prepared=False)
    postgres.run(first, "CREATE DATABASE hosts")
    postgres.run(first, "ALTER DATABASE hosts SET default_transaction_read_only = on")
    breakable.psql("CREATE DATABASE hosts", database="postgres")
    return {
        "read-only": unquote(first.partition("host=")[2]),
        "writable": str(breakable.socket),
        "missing": "/no/server",
    }


@pytest.fixture
async def opened(places: dict[str, str]) -> AsyncIterator[Opened]:
    engines = []

    def sessions(address: str) -> Sessions:
        for name, directory in places.items():
            address = address.replace(name.upper(), directory)
        engines.append(open_engine(f"postgresql:///hosts?user=postgres&{address}"))
        return sessions_of(engines[-1])

    yield sessions
    for engine in engines:
        await engine.dispose()


async def _is_read_only(sessions: Sessions) -> bool:
    async with sessions() as session:
        return bool(await session.scalar(text("SELECT current_setting('transaction_read_only') = 'on'")))


@pytest.mark.parametrize("order", ["READ-ONLY,WRITABLE", "WRITABLE,READ-ONLY", "MISSING,READ-ONLY,WRITABLE"])
@pytest.mark.parametrize("attributes", ["", "&target_session_attrs=any", "&target_session_attrs=read-write"])
async def test_the_first_writable_host_is_used(order: str, attributes: str, opened: Opened) -> None:
    assert not await _is_read_only(opened(f"host={order}{attributes}"))


@pytest.mark.parametrize("attributes", ["", "&target_session_attrs=any", "&target_session_attrs=primary"])
async def test_reads_work_without_a_writable_host(attributes: str, opened: Opened) -> None:
    sessions = opened(f"host=MISSING,READ-ONLY{attributes}")
    assert await _is_read_only(sessions)
    with pytest.raises(ReadOnlyDatabase):
        await answers(sessions)
    with pytest.raises(ReadOnlyDatabase):
        async with sessions() as session:
            await session.execute(text("CREATE TABLE written (id integer)"))


async def test_a_read_only_host_is_refused_if_writes_are_required(opened: Opened) -> None:
    with pytest.raises(ReadOnlyDatabase):
        await _is_read_only(opened("host=READ-ONLY&target_session_attrs=read-write"))


async def test_a_refusal_by_a_host_is_not_retried_at_another(opened: Opened) -> None:
    with pytest.raises(DatabaseUnavailable, match='the role "stranger" does not exist'):
        await _is_read_only(opened("host=READ-ONLY,WRITABLE&user=stranger"))
