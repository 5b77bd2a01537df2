"""A small sample of each trial of scripts/trials."""

from __future__ import annotations

import math
import random
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from app.settings import ServerName
from scripts.bench.soak import Sample, growth
from tests.support.breakable import BreakablePostgres
from tests.support.databases import KINDS, Kind, Postgres
from tests.support.issuer import LiveIssuer
from tests.support.mutation.edits import Edit, edits_of
from tests.support.mutation.mutants import Mutant, Outcome, chosen, copy_tree, mutants, try_out, try_warm
from tests.support.mutation.mutants import tests_of as files_for
from tests.support.mutation.parts import PARTS, ROOT, Part
from tests.support.mutation.patching import NotPatchable, changed_functions
from tests.support.mutation.warm_tests import Profile
from tests.support.server import DATABASE, eventually
from tests.support.trials.abuse import Line, Trial
from tests.support.trials.abuse_attacks import ATTACKS, attacks
from tests.support.trials.abuse_server import attacked
from tests.support.trials.clerk import differences
from tests.support.trials.failover import failover
from tests.support.trials.flood import FloodName, flood
from tests.support.trials.kills import kills
from tests.support.trials.log_kills import log_kills
from tests.support.trials.notifications import without_notifications
from tests.support.trials.outage import outage
from tests.support.trials.pooler import pooled
from tests.support.trials.restore import restores
from tests.support.trials.revocations import two_replicas
from tests.support.trials.rolling_restart import rolling
from tests.support.trials.siem_kills import siem_kills


def test_no_acknowledged_write_is_lost_by_a_kill(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    """Kills of a server on SQLite are in tests/history."""
    assert list(kills("database", 1, 3, issuer=issuer, postgres=breakable, place=tmp_path)) == []


def test_no_denied_caller_is_allowed_while_postgresql_is_unavailable(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    assert list(outage(1.6, "down", issuer=issuer, postgres=breakable, place=tmp_path)) == []


def test_a_rolling_restart_behind_a_load_balancer_fails_no_request(
    breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    assert list(rolling(1, 2, of=2, place=tmp_path, issuer=issuer, postgres=breakable)) == []


def test_a_paused_replica_follows_a_restored_history(postgres: Postgres, issuer: LiveIssuer, tmp_path: Path) -> None:
    assert list(restores(1, (True,), issuer=issuer, postgres=postgres, place=tmp_path)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_another_replica_refuses_what_was_ended(
    kind: Kind, issuer: LiveIssuer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres").new(prepared=True) if kind == "postgresql" else None
    with ExitStack() as stack:
        trial = stack.enter_context(two_replicas(tmp_path, issuer, url))
        revocations = {name: prepare() for name, prepare in trial.kinds.items()}
        assert not [name for name, each in revocations.items() if each.is_obeyed()], "accepted before"
        for number, each in enumerate(revocations.values()):
            if url is not None and number == len(revocations) // 2:
                stack.enter_context(without_notifications(url))
            each.act()
        assert eventually(lambda: all(each.is_obeyed() for each in revocations.values()), 20)


def test_the_chain_of_a_log_verifies_after_kills(url: str, tmp_path: Path) -> None:
    assert list(log_kills(2, 1, url=url, place=tmp_path)) == []


def test_a_siem_gets_each_record_of_servers_that_are_killed(
    postgres: Postgres, issuer: LiveIssuer, tmp_path: Path
) -> None:
    """On SQLite: see tests/siem/test_export.py."""
    assert list(siem_kills(1, 1, issuer=issuer, url=postgres.new(prepared=True), place=tmp_path)) == []


def test_a_server_follows_its_address_to_a_new_primary(issuer: LiveIssuer, tmp_path: Path) -> None:
    assert list(failover("move", issuer=issuer, place=tmp_path, seconds=0.2)) == []


def test_servers_work_behind_a_pooler(breakable: BreakablePostgres, issuer: LiveIssuer, tmp_path: Path) -> None:
    """A session of a pooler is one of the database: that mode is tried by the script only."""
    assert list(pooled("transaction", 0.0, issuer=issuer, postgres=breakable, place=tmp_path)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_no_request_of_a_known_caller_fails_under_attack(
    kind: Kind, issuer: LiveIssuer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Latency is measured by the script only."""
    server: ServerName = "granian" if kind == "postgresql" else "uvicorn"
    url = f"sqlite:///{tmp_path / DATABASE}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new(prepared=True)
    with attacked(server, tmp_path, issuer, url, keys=250, own_core=False) as (started, callers):
        trial, every = Trial(started, callers), attacks(callers)
        assert tuple(sorted(every)) == tuple(sorted(ATTACKS)), "the script takes these names"
        trial.good(50, 0.3)
        drawn = random.Random(5).sample(sorted(every), 4)
        for name in drawn[KINDS.index(kind) :: len(KINDS)]:
            line = Line(every[name])
            trial.attack(line, 0.4, settle_seconds=0.1)
            assert not list(line.faults())


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_grows_the_database_by_less_than_its_share(
    kind: Kind, issuer: LiveIssuer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: ServerName = "uvicorn" if kind == "postgresql" else "granian"
    url = f"sqlite:///{tmp_path / DATABASE}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres").new(prepared=True)
    name: FloodName = "anonymous" if kind == "postgresql" else "batches"
    options: dict[str, Any] = {"server": server, "database": url, "issuer": issuer, "place": tmp_path}
    found = flood(name, 1.0, 30, max_bytes=60_000_000, own_core=False, **options)
    assert not list(found.faults())
    assert found.marked > 10  # less than 30 on a busy machine


@pytest.mark.anyio
async def test_clerks_own_sdk_reads_the_same_organizations(issuer: LiveIssuer, untrusted_issuer: LiveIssuer) -> None:
    assert await differences(issuer, untrusted_issuer, 40, 7) == []


def test_a_soak_reports_growth() -> None:
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


def test_each_edit_changes_one_line_and_compiles() -> None:
    plain = SOURCE.splitlines()
    found: dict[str, set[str]] = {}
    for edit in edits_of(SOURCE):
        compile(edit.text, "edited", "exec")
        lines = edit.text.splitlines()
        (changed,) = (number for number, line in enumerate(lines) if line != plain[number])
        assert changed + 1 == edit.line
        found.setdefault(edit.kind, set()).add(lines[changed].strip())
    assert found == EDITS


def test_edits_are_chosen_by_seed_and_spread_evenly() -> None:
    found = mutants(["doors", "gateway"])
    some = chosen(found, 40, 3)
    assert chosen(found, 40, 3) == some != chosen(found, 40, 4)
    assert len(set(map(str, some))) > 20
    assert Counter(mutant.part for mutant in some) == {"doors": 20, "gateway": 20}
    assert len(chosen(found, 10**6, 3)) == len(found)
    mutant = next(each for each in found if each.file == "app/http/door/middleware.py")
    assert files_for(mutant)[0].startswith("tests/")
    assert mutant.diff()


@pytest.mark.parametrize("part", PARTS)
def test_the_parts_name_sources_and_tests_that_exist(part: str) -> None:
    for place in (*PARTS[part].sources, *PARTS[part].tests):
        assert (ROOT / place).exists(), place


def test_the_parts_cover_the_core() -> None:
    held = {str(file.relative_to(ROOT)) for part in PARTS.values() for file in part.source_files()}
    for package in ("policy", "identity", "gateway", "oauth"):
        assert {str(file.relative_to(ROOT)) for file in (ROOT / "app" / package).rglob("*.py")} <= held


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("count <= MOST", "count < MOST", [("taken", 7)]),
        ("if not name", "if name", [("taken", 7)]),
        ("max(1, MOST)", "min(1, MOST)", [("taken", 7)]),
        ("of three", "of 3", []),
        ("not name", "not  (name\n )", []),
        ("MOST: int = 10", "MOST: int = 11", None),
        ("count: int = 2", "count: int = 3", None),
        ("('one', 'two')", "('one',)", None),
    ],
)
def test_edits_of_functions_are_distinguished_from_edits_of_modules(
    old: str, new: str, changed: list[tuple[str, int]] | None
) -> None:
    after = SOURCE.replace('("one", "two")', "('one', 'two')").replace(old, new)
    before = SOURCE.replace('("one", "two")', "('one', 'two')")
    if changed is None:
        with pytest.raises(NotPatchable):
            changed_functions(before, after)
    else:
        assert list(changed_functions(before, after)) == changed


def test_an_edit_of_a_nested_function_changes_the_outer_one() -> None:
    before = "def outer(a):\n    return sorted(a, key=lambda b: b + 1)\n"
    changed = changed_functions(before, before.replace("1", "2"))
    assert set(changed) == {("outer", 1), ("outer.<locals>.<lambda>", 2)}


def test_edits_of_functions_are_tried_in_forked_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = "app/gateway/canonical.py"
    monkeypatch.setitem(PARTS, "gateway", Part((path,), ("tests/gateway/test_canonical.py",)))
    tree = copy_tree(tmp_path)
    text = (tree / path).read_text()
    seen, unseen = text.replace("(code, 16)", "(16, code)"), text.replace("(code, 16)", "((code), 16)")
    assert seen != text != unseen
    module = text.replace("MAX_PATH_BYTES = 4096", "MAX_PATH_BYTES = 4095")
    some = [Mutant("gateway", path, text, Edit("number", 7, each)) for each in (seen, unseen, module)]
    profile, *tried = try_warm("gateway", some, tree, jobs=2, until=math.inf)
    assert isinstance(profile, Profile)
    assert list(profile.seconds_by_file()) == ["tests/gateway/test_canonical.py"]
    found = {each[0]: (each[1].noticed, each[1].hung, each[1].left) for each in tried if isinstance(each, tuple)}
    assert found == {some[0]: (True, False, ()), some[1]: (False, False, ()), some[2]: (False, False, None)}
    assert (tree / path).read_text() == text


@pytest.mark.parametrize(
    ("tests", "limit"),
    [
        (("tests/a.py",), 150.0),
        (("tests/a.py::one",), 100.0),
        (("tests/a.py::one", "tests/a.py"), 150.0),
        (("tests/b.py", "tests/none.py"), 60.0),
        ((), 60.0),
    ],
)
def test_the_time_limit_of_slow_tests_is_several_times_what_they_take(tests: tuple[str, ...], limit: float) -> None:
    profile = Profile({"tests/a.py::one": 20.0, "tests/a.py::two": 10.0, "tests/b.py::one": 0.5})
    assert profile.time_limit(tests, 60.0) == limit


def test_an_edit_is_noticed_only_by_tests_of_its_behaviour(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    path = "app/gateway/canonical.py"
    text = (tree / path).read_text()
    shorter = text.replace("MAX_PATH_BYTES = 4096", "MAX_PATH_BYTES = 4095").replace('== "Cc"', '== "Cf"')
    mutant = Mutant("gateway", path, text, Edit("number", 7, shorter))
    seen = "tests/gateway/test_canonical.py::test_an_ambiguous_path_is_refused"
    assert try_out(tree, mutant, [f"{seen}[C1 control]"], 60) is Outcome.NOTICED
    assert try_out(tree, mutant, [f"{seen}[dot]"], 60) is Outcome.SURVIVED
    assert (tree / path).read_text() == text
