"""A policy that is read while the process has no file descriptor left."""

from __future__ import annotations

import subprocess
import sys

from app.policy.language.directory import read
from tests.support.server import ROOT

SCRIPT = """
import os, resource, threading
from pathlib import Path
from app.policy.language.directory import read

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    threading.Timer(0.5, lambda: [os.close(each) for each in taken]).start()
source = read(Path("policies"))
print(len(source.faults), source.revision)
"""


def test_a_policy_is_read_once_there_are_descriptors_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["0", read(ROOT / "policies").revision]
