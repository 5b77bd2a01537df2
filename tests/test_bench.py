"""The parts of the benchmark run and report, with counts too small for a measurement."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.server import ROOT


def bench(out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the benchmark in the environment of the tests."""
    command = [sys.executable, "-m", "scripts.bench.main", "--out", str(out), "--rounds", "1", "--tiny", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_its_parts_make_a_table_json_and_charts(tmp_path: Path) -> None:
    done = bench(tmp_path, "decide", "tokens", "start", "--seconds", "0.2", "--load", "own")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["failed"] == {}
    assert {row["part"] for row in found["rows"]} == {"decide", "tokens", "start"}
    for row in found["rows"]:
        if row["ours"] is None:
            assert row["note"].startswith("not measured: "), "a missing peer is reported"
            continue
        assert row["ours"]["min"] <= row["ours"]["median"] <= row["ours"]["max"]
        assert row["ours"]["median"] > 0
        if row["other"]:
            assert row["ratio"]["median"] == row["ours"]["median"] / row["other"]["median"], "one round, one ratio"
    assert found["how"]["load generator"] == "own"
    assert found["machine"]["versions"]["litestar"] in (tmp_path / "results.md").read_text()
    assert "remembered" in (tmp_path / "rules.svg").read_text()


def test_an_unknown_part_is_reported(tmp_path: Path) -> None:
    done = bench(tmp_path, "gateways")
    assert done.returncode == 2
    assert "unknown part gateways; parts are decide, tokens, http" in done.stderr
