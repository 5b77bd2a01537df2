"""The page about PostgreSQL matches the program."""

from __future__ import annotations

import re

import pytest

from app.db.address import CONNECT_SECONDS, KNOWN, PostgresAddress, address_of
from app.db.engine import LINE, NAME, PoolSize
from app.settings import Settings
from tests.support.server import ROOT

PAGE = (ROOT / "scripts" / "deploy" / "postgresql.md").read_text()
PRINTED = re.findall(r"`(postgres(?:ql)?://[^`]+)`", PAGE)


@pytest.mark.parametrize("printed", PRINTED)
def test_the_addresses_of_the_page_are_accepted(printed: str) -> None:
    assert isinstance(address_of(re.sub(r"sslrootcert=/[^&]+", "sslrootcert=system", printed)), PostgresAddress)


def test_the_parameters_of_the_page_are_those_of_the_program() -> None:
    section = PAGE.partition("\n## The address\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([a-z_]+)`", section))
    assert set(KNOWN) <= named


def test_the_numbers_are_those_of_the_program() -> None:
    fields = Settings.model_fields
    assert fields["database_pool_size"].default == PoolSize().connections
    assert fields["database_pool_wait_seconds"].default == PoolSize().wait_seconds
    each = PoolSize().connections + 1
    assert f"{each} + 5 = {4 * each + 5}, with two workers {4 * 2 * each + 5};" in PAGE
    assert f"`AUTHZ_DATABASE_POOL_SIZE` connections, {PoolSize().connections} by default" in PAGE
    assert f"`{NAME}` and `{LINE}` without it" in PAGE
    assert f"seconds for each host; {CONNECT_SECONDS:g} without it" in PAGE
