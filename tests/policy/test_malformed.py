"""What is wrong with a policy is refused at its place, and the old policy decides on."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.policy.live import LivePolicy
from tests.policy.malformed import MALFORMED, UNTOLD, Malformed
from tests.policy.shipped import DIRECTORY, PERSON, routes


@pytest.fixture
def live(tmp_path: Path) -> LivePolicy:
    """The shipped policy, active, with files of its own."""
    directory = tmp_path / "policies"
    shutil.copytree(DIRECTORY, directory)
    return LivePolicy(directory, routes())


def refuse(live: LivePolicy) -> list[tuple[str, str, int, int]]:
    """Reload, be refused, and see the old policy decide as before; code, file, line and column of each fault."""
    before = live.active
    reload = asyncio.run(live.reload())
    assert reload.outcome == "refused"
    assert live.active is before
    assert reload.revision == before.revision
    assert live.active.decide(PERSON | {"catalog:read"}, "/api/v1/teams", "GET")
    assert not live.active.decide(PERSON, "/api/v1/teams", "GET")
    assert all(fault.message for fault in reload.faults)
    return [(fault.code, fault.file, fault.line, fault.column) for fault in reload.faults]


def test_the_corpus_is_large() -> None:
    assert len({malformed.name for malformed in MALFORMED}) == len(MALFORMED) >= 60


@pytest.mark.parametrize("malformed", MALFORMED, ids=lambda malformed: malformed.name)
def test_a_malformed_policy_is_refused_at_its_place(live: LivePolicy, malformed: Malformed) -> None:
    file = live.directory / malformed.file
    if malformed.data is None:
        file.unlink()
    else:
        file.write_bytes(malformed.data)
    faults = refuse(live)
    if malformed.line == UNTOLD:
        assert malformed.code in {code for code, *_ in faults}
    else:
        assert (malformed.code, malformed.file, malformed.line, malformed.column) in faults


def _fifo(directory: Path) -> None:
    os.mkfifo(directory / "pipe.csv")


def _folder(directory: Path) -> None:
    (directory / "folder.csv").mkdir()


def _loop(directory: Path) -> None:
    (directory / "loop.csv").symlink_to("loop.csv")


def _dangling(directory: Path) -> None:
    (directory / "gone.csv").symlink_to("nowhere.csv")


def _device(directory: Path) -> None:
    (directory / "zero.csv").symlink_to("/dev/zero")


def _huge(directory: Path) -> None:
    with (directory / "huge.csv").open("wb") as file:
        file.truncate(100 * 1024 * 1024)


def _stray(directory: Path) -> None:
    (directory / "catalogue.cvs").write_text("p, anyone, /**, GET, deny\n# end\n")


def _capitals(directory: Path) -> None:
    (directory / "EXTRA.CSV").write_text("# end\n")


def _stray_folder(directory: Path) -> None:
    (directory / "old").mkdir()


def _many(directory: Path) -> None:
    for number in range(600):
        (directory / f"many{number}.csv").write_text("# end\n")


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (_fifo, "unreadable"),
        (_folder, "unreadable"),
        (_loop, "unreadable"),
        (_dangling, "unreadable"),
        (_device, "unreadable"),
        (_huge, "unreadable"),
        (_stray, "stray-file"),
        (_capitals, "stray-file"),
        (_stray_folder, "stray-file"),
        (_many, "too-many-files"),
    ],
)
def test_what_is_no_plain_file_is_refused_without_hanging(
    live: LivePolicy, spoil: Callable[[Path], None], code: str
) -> None:
    spoil(live.directory)
    assert code in {found for found, *_ in refuse(live)}


def test_a_directory_that_is_gone_is_refused(live: LivePolicy) -> None:
    live.directory.rename(live.directory.with_name("elsewhere"))
    assert [code for code, *_ in refuse(live)] == ["no-directory"]


def test_a_thousand_faults_are_told_in_moderation(live: LivePolicy) -> None:
    (live.directory / "wrong.csv").write_text("p, catalog:fly, /nowhere, GET, allow\n" * 1000 + "# end\n")
    faults = refuse(live)
    assert 100 <= len(faults) <= 250


def test_the_mended_policy_is_taken(live: LivePolicy) -> None:
    file = live.directory / "catalog.csv"
    good = file.read_text()
    file.write_text(good.replace("allow", "alow"))
    refuse(live)
    assert live.refused
    file.write_text(good.replace("p, catalog:read, /api/v1/teams", "p, catalog:read policies:read, /api/v1/teams"))
    assert asyncio.run(live.reload()).outcome == "swapped"
    assert live.refused is None
    assert not live.active.decide(PERSON | {"catalog:read"}, "/api/v1/teams", "GET")


def test_reloads_at_once_take_turns(live: LivePolicy) -> None:
    file = live.directory / "catalog.csv"
    file.write_text(file.read_text().replace("# The catalog", "# A catalog"))

    async def several() -> list[str]:
        return [reload.outcome for reload in await asyncio.gather(*(live.reload() for _ in range(8)))]

    assert sorted(asyncio.run(several())) == ["swapped"] + ["unchanged"] * 7
