"""A truncated file is never accepted as a policy: a prefix of a file of rows is refused with a place.

A prefix of another file is refused, or lacks only cases. The suite tries a seeded sample of the prefixes of a long
file; PREFIXES=all tries every one.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.policy.engine.live import LivePolicy
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.shipped import DIRECTORY, PERSON, routes, shipped_files

SAMPLE = 150


ROWS = sorted(name for name in shipped_files() if name.endswith(".csv"))
OTHERS = sorted(shipped_files().keys() - {*ROWS})


def lengths_of(name: str, sample: int) -> Sequence[int]:
    size = len(shipped_files()[name])
    if os.environ.get("PREFIXES") == "all" or size <= sample:
        return range(size)
    return [*random.Random(name).sample(range(size), sample), size - 1]


@pytest.mark.parametrize("name", ROWS)
def test_a_prefix_of_a_file_of_rows_is_refused(name: str) -> None:
    files = {other: shipped_files()[other] for other in ("model.conf", "permissions.toml")}
    for length in lengths_of(name, SAMPLE):
        files[name] = shipped_files()[name][:length]
        with pytest.raises(PolicyRefused) as refused:
            parse(from_bytes(files))
        assert all(fault.line > 0 and fault.column > 0 for fault in refused.value.faults if fault.file == name)
        assert any(fault.file == name for fault in refused.value.faults)


@pytest.mark.parametrize("name", OTHERS)
def test_a_prefix_of_another_file_is_refused_or_has_the_same_rows(name: str) -> None:
    policy = parse(from_bytes(shipped_files()))
    files = {other: data for other, data in shipped_files().items() if not other.startswith("tests/")}
    for length in lengths_of(name, SAMPLE // 15):
        files[name] = shipped_files()[name][:length]
        try:
            prefix = parse(from_bytes(files))
        except PolicyRefused:
            continue
        assert (prefix.rules, prefix.memberships, prefix.catalog) == (policy.rules, policy.memberships, policy.catalog)


def test_a_prefix_on_disk_leaves_the_old_policy_serving(tmp_path: Path) -> None:
    directory = tmp_path / "policies"
    shutil.copytree(DIRECTORY, directory)
    live = LivePolicy(directory, routes())
    before = live.active
    seeded = random.Random(4)
    for _ in range(30):
        name = seeded.choice(ROWS)
        whole = (directory / name).read_bytes()
        (directory / name).write_bytes(whole[: seeded.randrange(len(whole))])
        assert asyncio.run(live.reload()).outcome == "refused"
        assert live.active is before
        assert live.active.decide(PERSON | {"catalog:read"}, "/api/v1/teams", "GET")
        (directory / name).write_bytes(whole)
    assert asyncio.run(live.reload()).outcome == "unchanged"
