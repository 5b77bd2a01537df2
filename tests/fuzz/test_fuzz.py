"""The seeds and a sample of generated cases; scripts/fuzz/main.py runs more."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest

from scripts.fuzz import main as program
from scripts.fuzz.campaign import load
from scripts.fuzz.corpus import FOLDER, seeds_of
from scripts.fuzz.main import TARGETS
from scripts.fuzz.supervisor import Order, supervise

GENERATED = 4  # of each target, seeded
PATIENCE = 600.0  # seconds, on a busy machine


def failing(name: str) -> str:
    return f"tests.fuzz.failing.{name}"


@pytest.mark.parametrize(
    "names", [[name for name in TARGETS if name != "connections"], ["connections"]], ids=["parts", "servers"]
)
def test_seeds_and_a_sample_are_handled(names: list[str]) -> None:
    result = supervise(Order([TARGETS[name] for name in names], 1, PATIENCE, GENERATED if len(names) > 1 else 2))
    assert not result.failures, [(failure.target, failure.message, failure.data[:500]) for failure in result.failures]
    for name in names:
        kept = len(load(TARGETS[name]).examples) + len(seeds_of(name))
        assert result.tallies[name].cases > kept


def test_every_target_has_seeds_and_every_seed_a_target() -> None:
    assert {file.stem for file in FOLDER.iterdir()} == TARGETS.keys()
    for file in FOLDER.iterdir():
        entries = json.loads(file.read_text())
        assert len({entry["why"] for entry in entries}) == len(entries) == len(set(seeds_of(file.stem)))


def test_an_unexpected_exception_is_found_and_minimized_and_other_targets_continue() -> None:
    result = supervise(Order([failing("raises"), TARGETS["key_sets"]], 1, PATIENCE, 50))
    (failure,) = result.failures
    assert failure.target == "raises"
    assert failure.data == b"x"
    assert "KeyError" in failure.message and "raises.py:" in failure.message
    assert result.tallies["key_sets"].cases >= 50


def test_a_case_that_takes_too_long_is_found() -> None:
    (failure,) = supervise(Order([failing("slow")], 1, PATIENCE, 1, max_seconds=0.2)).failures
    assert (failure.target, failure.data) == ("slow", b"slow")
    assert "of processor time" in failure.message


def test_a_case_that_hangs_in_c_code_is_killed_with_its_stack() -> None:
    (failure,) = supervise(Order([failing("hangs")], 1, PATIENCE, 1, kill_processor_seconds=0.5)).failures
    assert (failure.target, failure.data) == ("hangs", b"a" * 60)
    assert failure.message.startswith("hangs: ")
    assert "hangs.py" in failure.message


def test_a_case_that_ends_the_process_is_found() -> None:
    (failure,) = supervise(Order([failing("crashes")], 1, PATIENCE, 1)).failures
    assert (failure.target, failure.data) == ("crashes", b"crash")
    assert "Fatal Python error: Aborted" in failure.message


def test_a_failure_is_printed_and_stored_to_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(TARGETS, "raises", failing("raises"))
    command = ["main.py", "--target", "raises", "--cases", "50"]
    monkeypatch.setattr(sys, "argv", [*command, "--failures", str(tmp_path)])
    assert program.main() == 1
    printed = capsys.readouterr().out
    (kept,) = tmp_path.iterdir()
    assert kept.read_bytes() == b"x"
    assert str(kept) in printed and base64.b64encode(b"x").decode() in printed

    monkeypatch.setattr(sys, "argv", [*command, "--replay", str(kept)])
    assert program.main() == 1
    kept.write_bytes(b"y")
    assert program.main() == 0


def test_the_program_prints_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["main.py", "--target", "key_sets", "--cases", "10", "--minutes", "5"])
    assert program.main() == 0
    printed = capsys.readouterr().out
    assert "slowest" in printed and "key_sets" in printed and "0 failed" in printed
