"""A policy with a fault is refused with its place, and the previous one stays active."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.policy.engine.live import LivePolicy, build
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import load
from tests.policy.conftest import Said
from tests.policy.malformed import MALFORMED, Malformed
from tests.policy.refusing import refused
from tests.policy.shipped import DIRECTORY, PERSON, few_cases, policy_of, routes, shipped_files, snapshot_of, write


@pytest.fixture
def live(tmp_path: Path) -> LivePolicy:
    return LivePolicy(write(tmp_path / "policies", few_cases()), routes())


@pytest.fixture(scope="module")
def unmoved(tmp_path_factory: pytest.TempPathFactory) -> LivePolicy:
    """The active shipped policy, which no fault of its files may replace."""
    return LivePolicy(write(tmp_path_factory.mktemp("unmoved") / "policies", few_cases()), routes())


@pytest.fixture
def fixed(unmoved: LivePolicy) -> LivePolicy:
    """The active policy with its shipped files."""
    for path in unmoved.directory.rglob("*"):
        if path.is_file() and few_cases().get(str(path.relative_to(unmoved.directory))) != path.read_bytes():
            path.unlink()
    missing = {name: data for name, data in few_cases().items() if not (unmoved.directory / name).exists()}
    write(unmoved.directory, missing)
    unmoved.refused = None
    return unmoved


def test_the_shipped_policy_is_valid() -> None:
    assert snapshot_of(shipped_files()).policy.rules


def test_all_changes_are_distinct() -> None:
    names = [change.name for change in MALFORMED]
    changes = {(change.file, change.data) for change in MALFORMED}
    assert len(set(names)) == len(names) == len(changes)


@pytest.mark.anyio
@pytest.mark.parametrize("change", MALFORMED, ids=lambda change: change.name)
async def test_a_malformed_policy_is_refused_at_its_place(change: Malformed, fixed: LivePolicy, said: Said) -> None:
    path = fixed.directory / change.file
    if change.data is None:
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(change.data)

    faults = await refused(fixed)

    places = [(fault.code, fault.file, fault.line, fault.column) for fault in faults]
    file = (change.where or change.file).encode("unicode_escape").decode()
    assert (change.code, file, change.line, change.column) in places, faults
    files = {**few_cases(), change.file: change.data}
    with pytest.raises(PolicyRefused) as raised:
        build(policy_of({name: data for name, data in files.items() if data is not None}), routes())
    assert raised.value.faults == faults
    said(faults)


@pytest.mark.anyio
async def test_a_permission_that_rows_need_cannot_be_removed(live: LivePolicy) -> None:
    catalogue = live.directory / "permissions.toml"
    catalogue.write_bytes(catalogue.read_bytes().replace(b'["catalog:read"]', b'["catalog:look"]'))

    faults = await refused(live)

    rows = [
        (file, number, line.find(b"catalog:read") + 1)
        for file, data in shipped_files().items()
        for number, line in enumerate(data.split(b"\n"), 1)
        if file.endswith(".csv") and b"catalog:read" in line and not line.startswith(b"#")
    ]
    csv_faults = [(f.file, f.line, f.column) for f in faults if f.file.endswith(".csv")]
    assert sorted(csv_faults) == sorted(rows)


def test_a_faulty_first_policy_prevents_the_start(tmp_path: Path) -> None:
    directory = write(tmp_path, {**shipped_files(), "catalog.csv": b""})
    with pytest.raises(PolicyRefused) as raised:
        LivePolicy(directory, routes())
    assert [fault.place for fault in raised.value.faults] == ["catalog.csv:1:1"]


def test_hidden_files_pages_and_leftovers_of_editors_are_not_part_of_the_policy(tmp_path: Path) -> None:
    directory = write(tmp_path, shipped_files())
    before = load(directory).revision
    pages = ("README.md", "REFERENCE.md", "WALKTHROUGH.md")
    for name in (*pages, ".catalog.csv.swp", "catalog.csv~", "#catalog.csv#", ".git"):
        (directory / name).write_bytes(b"\xff")
    assert load(directory).revision == before


def test_the_reference_lists_the_code_of_every_fault() -> None:
    listed = (DIRECTORY / "REFERENCE.md").read_text().partition("\n## Faults\n")[2]
    assert [change.code for change in MALFORMED if f"`{change.code}`" not in listed] == []


@pytest.mark.anyio
async def test_the_number_of_reported_faults_is_bounded(live: LivePolicy) -> None:
    (live.directory / "wrong.csv").write_text("p, catalog:fly, /nowhere, GET, allow\n" * 1000 + "# end\n")
    assert 100 <= len(await refused(live)) <= 250


@pytest.mark.anyio
async def test_a_faulty_catalogue_causes_no_faults_of_rows(live: LivePolicy) -> None:
    catalogue = live.directory / "permissions.toml"
    catalogue.write_bytes(catalogue.read_bytes().replace(b'["catalog:read"]', b'["catalog:Read"]'))
    assert [fault.code for fault in await refused(live)] == ["catalog"]


@pytest.mark.anyio
async def test_the_fixed_policy_is_accepted(live: LivePolicy) -> None:
    file = live.directory / "catalog.csv"
    good = file.read_text()
    file.write_text(good.replace("allow", "alow"))
    await refused(live)
    file.write_text(good.replace("p, catalog:read, /api/v1/teams", "p, catalog:read policies:read, /api/v1/teams"))
    assert (await live.reload()).outcome == "swapped"
    assert live.refused is None
    assert not live.active.decide(PERSON | {"catalog:read"}, "/api/v1/teams", "GET")


@pytest.mark.anyio
async def test_concurrent_reloads_are_serialized(live: LivePolicy) -> None:
    file = live.directory / "catalog.csv"
    file.write_text(file.read_text().replace("# The catalog", "# A catalog"))
    outcomes = [reload.outcome for reload in await asyncio.gather(*(live.reload() for _ in range(8)))]
    assert sorted(outcomes) == ["swapped"] + ["unchanged"] * 7
