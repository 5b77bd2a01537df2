"""The exact messages of faults and findings, as recorded in `refusals.json`.

After changing a message, run `AUTHZ_RECORD_REFUSALS=1 .venv/bin/pytest -n0 tests/policy` and read the diff.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from app.policy.language.fault import Fault
from app.policy.language.when.condition import ConditionFault

Said = Callable[[Iterable[Fault | ConditionFault]], None]

_FILE = Path(__file__).with_name("refusals.json")
_RECORD = "AUTHZ_RECORD_REFUSALS"
_MAX_NAME = 120


@pytest.fixture(scope="session")
def refusals() -> Iterator[dict[str, list[str]]]:
    """The recorded faults by test; written back when recording."""
    known: dict[str, list[str]] = json.loads(_FILE.read_text()) if _FILE.exists() else {}
    yield known
    if os.environ.get(_RECORD):
        _FILE.write_text(json.dumps(known, indent=1, sort_keys=True, ensure_ascii=True) + "\n")


@pytest.fixture
def said(request: pytest.FixtureRequest, refusals: dict[str, list[str]]) -> Said:
    """Compares the faults of a test with the recorded ones: code, length, message and hint of each.

    Lines and columns are left out: the tests check them, and those of the shipped policy change.
    """
    name = f"{request.path.stem}::{request.node.name}"
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}… {hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def compare(faults: Iterable[Fault | ConditionFault]) -> None:
        found = [f"{_where(fault)} {fault.length}: {fault.message} ({fault.hint})" for fault in faults]
        if os.environ.get(_RECORD):
            refusals[name] = found
        assert found == refusals.get(name)

    return compare


def _where(fault: Fault | ConditionFault) -> str:
    """The code of a fault, with its place if it has no line."""
    if isinstance(fault, ConditionFault):
        return "condition"
    return fault.code if fault.line > 0 else f"{fault.code} {fault.line}:{fault.column}"
