"""A policy that another one has replaced is freed."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from app.policy.engine.live import LivePolicy
from app.policy.language.rule import Rule
from tests.policy.shipped import few_cases, routes, write


def rules_in_memory() -> int:
    gc.unfreeze()  # else they are not listed
    gc.collect()
    return sum(isinstance(item, Rule) for item in gc.get_objects())


def test_reloads_of_a_policy_with_conditions_keep_no_rule_of_former_ones(tmp_path: Path) -> None:
    directory = write(tmp_path / "policies", few_cases())
    file = directory / "catalog.csv"
    content = file.read_text()
    live = LivePolicy(directory, routes())

    def reload(number: int) -> int:
        file.write_text(f"# {number}\n{content}")
        assert asyncio.run(live.reload()).outcome == "swapped"
        return rules_in_memory()

    first, second, third = map(reload, range(3))
    assert first == second == third
