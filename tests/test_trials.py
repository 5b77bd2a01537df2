"""The trials of scripts/trials, each in a tiny sample: the whole counts are what the scripts do when asked."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from app.settings import ServerName
from scripts.bench.soak import Sample, growth
from scripts.trials.edits import Edit, edits_of
from scripts.trials.mutants import Mutant, Outcome, chosen, copy_tree, mutants, try_out
from scripts.trials.mutants import tests_of as files_for
from tests.support.breakable import BreakablePostgres
from tests.support.databases import KINDS, Kind, Postgres
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE
from tests.support.trials.abuse import Line, Trial
from tests.support.trials.abuse_attacks import attacks
from tests.support.trials.abuse_server import attacked
from tests.support.trials.away import away
from tests.support.trials.failover import failover
from tests.support.trials.kills import kills
from tests.support.trials.pooler import Mode, pooled
from tests.support.trials.restore import restores
from tests.support.trials.rolling import rolling


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


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_of_a_known_caller_fails_under_attack(
    kind: Kind, issuer: LiveIssuer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """How long it waits is measured by the script alone."""
    server: ServerName = "granian" if kind == "postgresql" else "uvicorn"
    url = f"sqlite:///{tmp_path / DATABASE}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new(prepared=True)
    with attacked(server, tmp_path, issuer, url, keys=250) as (started, callers):
        trial, every = Trial(started, callers), attacks(callers)
        trial.good(50, 0.3)
        drawn = random.Random(5).sample(sorted(every), 8)
        for name in drawn[KINDS.index(kind) :: len(KINDS)]:
            line = Line(every[name])
            trial.attack(line, 0.4, settle_seconds=0.1)
            assert not list(line.faults())


def test_a_soak_tells_what_grew() -> None:
    flat = [Sample(second, 100 + second % 3, 50 + second % 2, 10, second) for second in range(40)]
    leaking = [Sample(second, 100 + second, 50 + second, 10, second) for second in range(40)]
    assert growth(flat) == []
    assert growth(leaking) == ["memory grew to 1.14 times", "descriptors grew from 66 to 82"]
    assert growth(flat[:1]) == ["there are too few samples to tell"]


SOURCE = '''\
"""Which callers are taken."""

MOST: int = 10
KINDS = ("one", "two")


def taken(name: str, count: int = 2) -> bool:
    if not name:
        raise ValueError(f"{count + 1} names")
    return count <= MOST and name in KINDS and pow(count, max(1, MOST)) != 3
'''
EDITS = {
    "comparison": {
        "return (count < MOST) and name in KINDS and pow(count, max(1, MOST)) != 3",
        "return (count > MOST) and name in KINDS and pow(count, max(1, MOST)) != 3",
        "return count <= MOST and (name not in KINDS) and pow(count, max(1, MOST)) != 3",
        "return count <= MOST and name in KINDS and (pow(count, max(1, MOST)) == 3)",
    },
    "and/or": {"return (count <= MOST or name in KINDS or pow(count, max(1, MOST)) != 3)"},
    "dropped part": {
        "return (name in KINDS and pow(count, max(1, MOST)) != 3)",
        "return (count <= MOST and pow(count, max(1, MOST)) != 3)",
        "return (count <= MOST and name in KINDS)",
    },
    "negation": {"if name:"},
    "removed guard": {"if False:"},
    "number": {
        *("MOST: int = 9", "MOST: int = 11"),
        *("def taken(name: str, count: int = 1) -> bool:", "def taken(name: str, count: int = 3) -> bool:"),
        "return count <= MOST and name in KINDS and pow(count, max(1, MOST)) != 2",
        "return count <= MOST and name in KINDS and pow(count, max(1, MOST)) != 4",
        "return count <= MOST and name in KINDS and pow(count, max(0, MOST)) != 3",
        "return count <= MOST and name in KINDS and pow(count, max(2, MOST)) != 3",
    },
    "swapped arguments": {"return count <= MOST and name in KINDS and pow(max(1, MOST), count) != 3"},
    "dropped member": {"KINDS = ('two',)", "KINDS = ('one',)"},
}


def test_each_edit_of_a_source_is_one_change_of_one_line_that_still_compiles() -> None:
    plain = SOURCE.splitlines()
    found: dict[str, set[str]] = {}
    for edit in edits_of(SOURCE):
        compile(edit.text, "edited", "exec")
        lines = edit.text.splitlines()
        (changed,) = (number for number, line in enumerate(lines) if line != plain[number])
        assert changed + 1 == edit.line
        found.setdefault(edit.kind, set()).add(lines[changed].strip())
    assert found == EDITS


def test_edits_are_chosen_by_the_seed_and_evenly() -> None:
    found = mutants(["doors", "gateway"])
    some = chosen(found, 40, 3)
    assert chosen(found, 40, 3) == some != chosen(found, 40, 4)
    assert len(set(map(str, some))) > 20
    assert Counter(mutant.part for mutant in some) == {"doors": 20, "gateway": 20}
    assert len(chosen(found, 10**6, 3)) == len(found)
    mutant = next(each for each in some if each.file == "app/http/door/middleware.py")
    assert files_for(mutant)[0].startswith("tests/")
    assert mutant.diff()


def test_an_edit_is_noticed_by_the_tests_that_see_it_and_by_no_others(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    path = "app/gateway/canonical.py"
    text = (tree / path).read_text()
    shorter = text.replace("MAX_PATH_BYTES = 4096", "MAX_PATH_BYTES = 4095").replace('== "Cc"', '== "Cf"')
    mutant = Mutant("gateway", path, text, Edit("number", 7, shorter))
    seen = "tests/gateway/test_canonical.py::test_an_ambiguous_path_is_refused"
    assert try_out(tree, mutant, [f"{seen}[C1 control]"], 60) is Outcome.NOTICED
    assert try_out(tree, mutant, [f"{seen}[dot]"], 60) is Outcome.SURVIVED
    assert (tree / path).read_text() == text
