"""The commands that the documents show, with what they print there."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.server import AUTHZ, ROOT

GUIDE = ROOT / "policies" / "README.md"


def authz(*words: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([AUTHZ, *words], cwd=cwd, capture_output=True, text=True, check=False)


def example(command: str, document: Path = GUIDE) -> str:
    """What a document says that a command prints: the indented lines below it."""
    lines = document.read_text().split("\n")
    start = lines.index(f"    $ {command}") + 1
    shown: list[str] = []
    for line in lines[start:]:
        if (line and not line.startswith("    ")) or line.startswith("    $ "):
            break
        shown.append(line.removeprefix("    "))
    return "\n".join(shown).rstrip("\n") + "\n"
