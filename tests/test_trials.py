"""The trials of scripts/trials, each in a tiny sample: the whole counts are what the scripts do when asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.bench.soak import Sample, growth
from scripts.trials.away import away
from scripts.trials.failover import failover
from scripts.trials.kills import kills
from scripts.trials.pooler import Mode, pooled
from scripts.trials.restore import restores
from scripts.trials.rolling import rolling
from tests.breakable import BreakablePostgres
from tests.databases import Postgres
from tests.issuer import LiveIssuer


def test_killed_at_any_moment_nothing_that_was_acknowledged_is_lost(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    """A server is killed in tests/history, on SQLite."""
    assert list(kills("database", 1, 3, issuer=issuer, postgres=breakable, place=tmp_path)) == []


def test_while_postgresql_is_away_nobody_comes_in_who_must_not(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    assert list(away(1.6, "down", issuer=issuer, postgres=breakable, place=tmp_path)) == []


def test_a_rolling_restart_behind_a_load_balancer_fails_no_request(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    assert list(rolling(1, 2, of=2, place=tmp_path, issuer=issuer, postgres=breakable)) == []


def test_a_replica_that_slept_through_a_restore_follows_the_restored_history(
    postgres: Postgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    assert list(restores(1, (True,), issuer=issuer, postgres=postgres, place=tmp_path)) == []


def test_a_server_follows_its_address_to_a_new_primary(issuer: LiveIssuer, tmp_path: Path) -> None:
    assert list(failover("move", issuer=issuer, place=tmp_path, seconds=0.2)) == []


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_servers_work_behind_a_pooler(
    mode: Mode, breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    assert list(pooled(mode, 0.0, issuer=issuer, postgres=breakable, place=tmp_path)) == []


def test_a_soak_tells_what_grew() -> None:
    flat = [Sample(second, 100 + second % 3, 50 + second % 2, 10, second) for second in range(40)]
    leaking = [Sample(second, 100 + second, 50 + second, 10, second) for second in range(40)]
    assert growth(flat) == []
    assert growth(leaking) == ["memory grew to 1.14 times", "descriptors grew from 66 to 82"]
    assert growth(flat[:1]) == ["there are too few samples to tell"]
