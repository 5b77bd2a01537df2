"""A policy that another one has replaced is freed."""

from __future__ import annotations

import asyncio
import gc
import shutil
from pathlib import Path

from app.assembly import route_table
from app.policy.engine.live import LivePolicy
from app.policy.language.rule import Rule
from tests.support.server import ROOT


def rules_in_memory() -> int:
    gc.unfreeze()  # else they are not listed
    gc.collect()
    return sum(isinstance(item, Rule) for item in gc.get_objects())


def test_reloads_of_a_policy_with_conditions_keep_no_rule_of_former_ones(tmp_path: Path) -> None:
    directory = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", directory)
    file = directory / "catalog.csv"
    content = file.read_text()
    live = LivePolicy(directory, route_table())

    def reload(number: int) -> int:
        file.write_text(f"# {number}\n{content}")
        assert asyncio.run(live.reload()).outcome == "swapped"
        return rules_in_memory()

    first, second, third = map(reload, range(3))
    assert first == second == third
