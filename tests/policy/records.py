"""Recorded texts of tests, one JSON file for each kind, with which later runs are compared.

After changing a message, delete the file, run `AUTHZ_RECORD_REFUSALS=1 .venv/bin/pytest -n0 tests/policy`, and read the
diff.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

_RECORD = "AUTHZ_RECORD_REFUSALS"
_MAX_NAME = 120


class Records:
    """The recorded texts of a file, by test."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {}
        self._is_recording = bool(os.environ.get(_RECORD))

    def compare(self, request: pytest.FixtureRequest, found: list[str]) -> None:
        """Compare the texts of a test with the recorded ones."""
        name = _name_of(request)
        if self._is_recording:
            self._known[name] = found
        assert found == self._known.get(name)

    def write(self) -> None:
        """Write the file if the run records."""
        if self._is_recording:
            self._file.write_text(json.dumps(self._known, indent=1, sort_keys=True, ensure_ascii=True) + "\n")


def _name_of(request: pytest.FixtureRequest) -> str:
    name = f"{request.path.stem}::{request.node.name}"
    if len(name) > _MAX_NAME:
        name = f"{name[:_MAX_NAME]}… {hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return name
