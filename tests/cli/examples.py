"""The commands and output that the documents show."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cli.command import command
from tests.support.server import ROOT

GUIDE = ROOT / "policies" / "README.md"
REFERENCE = ROOT / "policies" / "REFERENCE.md"


authz = command


def example(command: str, document: Path = GUIDE) -> str:
    """The output of a command in a document: the indented lines below it."""
    lines = document.read_text().split("\n")
    start = lines.index(f"    $ {command}") + 1
    shown: list[str] = []
    for line in lines[start:]:
        if (line and not line.startswith("    ")) or line.startswith("    $ "):
            break
        shown.append(line.removeprefix("    "))
    return "\n".join(shown).rstrip("\n") + "\n"


def fits(text: str, shown: str) -> bool:
    """Whether a text matches that of a document, in which `…` matches anything."""
    return re.fullmatch(re.escape(shown).replace("…", ".*"), text, flags=re.DOTALL) is not None
