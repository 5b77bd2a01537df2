"""A file that was cut short is never half a policy: a prefix of a shipped file is refused at a place.

Of a long file the suite takes a seeded sample of its prefixes; PREFIXES=all takes every one.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.policy.fault import PolicyRefused
from app.policy.live import LivePolicy
from app.policy.load import parse
from app.policy.source import from_bytes
from tests.policy.shipped import DIRECTORY, PERSON, routes, shipped_files

SAMPLE = 600


@pytest.mark.parametrize("name", sorted(shipped_files()))
def test_a_prefix_of_a_shipped_file_is_refused(name: str) -> None:
    files = dict(shipped_files())
    whole = files[name]
    lengths: Sequence[int] = range(len(whole))
    if os.environ.get("PREFIXES") != "all" and len(whole) > SAMPLE:
        lengths = [*random.Random(name).sample(lengths, SAMPLE), len(whole) - 1]
    for length in lengths:
        files[name] = whole[:length]
        with pytest.raises(PolicyRefused) as refused:
            parse(from_bytes(files))
        assert all(fault.line > 0 and fault.column > 0 for fault in refused.value.faults if fault.file == name)
        assert any(fault.file == name for fault in refused.value.faults)


def test_a_prefix_on_disk_leaves_the_old_policy_serving(tmp_path: Path) -> None:
    directory = tmp_path / "policies"
    shutil.copytree(DIRECTORY, directory)
    live = LivePolicy(directory, routes())
    before = live.active
    seeded = random.Random(4)
    for _ in range(60):
        name = seeded.choice(sorted(shipped_files()))
        whole = (directory / name).read_bytes()
        (directory / name).write_bytes(whole[: seeded.randrange(len(whole))])
        assert asyncio.run(live.reload()).outcome == "refused"
        assert live.active is before
        assert live.active.decide(PERSON | {"catalog:read"}, "/api/v1/teams", "GET")
        (directory / name).write_bytes(whole)
    assert asyncio.run(live.reload()).outcome == "unchanged"
